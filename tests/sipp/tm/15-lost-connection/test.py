# SPDX-License-Identifier: BSD-2-Clause
"""A reply whose request came over a connection that is gone: over a new one to the sent-by port (RFC 3261, 18.2.2)."""
import socket

import sip


def run(r, ctx):
    name = "tm/15-lost-connection"
    with sip.Server(ctx.program, f"{ctx.folder}/server.cfg", args=ctx.args) as server:
        callee = sip.Ua(server.host, server.port, user="callee")
        door = sip.Ua(server.host, server.port, "tcp", user="caller", listen=True)
        line = socket.create_connection((server.host, server.port), timeout=5)
        # sent-by is where the caller listens; no rport
        inv = door.request("INVITE", f"sip:{callee.port}@test.ringfort", "<sip:callee@test.ringfort>").replace(b";rport\r\n", b"\r\n", 1)
        line.sendall(inv)
        r.check(f"{name} 100 over the connection", line.recv(65536).startswith(b"SIP/2.0 100 "))
        got = callee.expect("INVITE")
        r.check(f"{name} the call arrives", got)
        line.close()
        # the answer is sent once more until the server has seen that the connection is gone
        def answered():
            callee.reply(got, 200, "OK", tag="callee")
            return door.expect(200, 0.5)
        ok = got and sip.wait_until(answered, 5)
        r.check(f"{name} its answer over a new one", ok, server.log_text()[-1500:])
        callee.close()
        door.close()
