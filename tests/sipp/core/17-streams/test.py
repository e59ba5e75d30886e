# SPDX-License-Identifier: BSD-2-Clause
"""Which connection a message leaves by. alias in a Via (tcp_accept_aliases, RFC 5923) and force_tcp_alias(): the younger connection counts, which passes on
Kamailio too. The answer to a connection that is gone goes to a new one, to the port of the Via (RFC 3261, 18.2.2) and not to the one it came from."""
import socket

import sip


class Port:
    """A listening port of the test's own."""

    def __init__(self):
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.sock.bind(("127.0.0.1", 0))
        self.sock.listen(8)
        self.port = self.sock.getsockname()[1]

    def received(self, seconds):
        """What the next connection brings first; None: nobody connects."""
        self.sock.settimeout(seconds)
        try:
            with self.sock.accept()[0] as c:
                c.settimeout(seconds)
                return sip.Msg(c.recv(65536))
        except OSError:
            return None


def from_port(ua, port, text, params=""):
    """The request with another sent-by than its sender has."""
    return text.replace(f"{ua.hostport};branch".encode(), f"127.0.0.1:{port}{params};branch".encode())


def aliases(r, ctx, name, accept, force):
    taken = accept or force
    with ctx.server("server.cfg", defines=[f"ACCEPT={int(accept)}"]) as server:
        here = Port()
        phones = [sip.Ua(server.host, server.port, "tcp", user=f"phone{i}") for i in range(2)]
        sender = sip.Ua(server.host, server.port)

        def says(phone):
            phone.send(from_port(phone, here.port, phone.request("OPTIONS", "sip:alias@test.ringfort", "<sip:x@test.ringfort>", headers=["X-Force: 1"] if force else []), ";alias"))
            return phone.expect(200)

        def goes_to(phone):
            sender.send(sender.request("MESSAGE", "sip:to@test.ringfort", "<sip:x@test.ringfort>", headers=[f"X-Port: {here.port}"]))
            if phone is None:
                got = here.received(5)
                return got and got.method == "MESSAGE"
            got = phone.expect("MESSAGE")
            if got:
                phone.reply(got, 200)
                sender.expect(200)
            return got

        r.check(f"{name} first", says(phones[0]) and goes_to(phones[0] if taken else None))
        if taken:
            r.check(f"{name} the younger connection counts", says(phones[1]) and goes_to(phones[1]))
            phones[0].close()
            r.check(f"{name} the older one ends", sip.wait_until(lambda: server.rpc("core.tcp_info")["opened_connections"] == 1, 10) and goes_to(phones[1]))
        for ua in (*phones, sender):
            ua.close()


def gone(r, ctx, name):
    with ctx.server("server.cfg", defines=["ACCEPT=0"]) as server:
        callee = sip.Ua(server.host, server.port)
        for rport in (";rport", ""):
            here = Port()
            ua = sip.Ua(server.host, server.port, "tcp")
            ua.send(from_port(ua, here.port, ua.request("MESSAGE", "sip:later@test.ringfort", "<sip:x@test.ringfort>", headers=[f"X-Port: {callee.port}"]).replace(b";rport", rport.encode())))
            m = callee.expect("MESSAGE")
            ua.close()
            sip.wait_until(lambda: server.rpc("core.tcp_info")["opened_connections"] == 0, 10)
            callee.reply(m, 200)
            got = here.received(5)
            r.check(f"{name} Via {'with' if rport else 'without'} rport", got and got.status == 200, got and got.raw)
        callee.close()


def run(r, ctx):
    name = "core/17-streams"
    aliases(r, ctx, f"{name} tcp_accept_aliases", True, False)
    aliases(r, ctx, f"{name} force_tcp_alias()", False, True)
    aliases(r, ctx, f"{name} no alias", False, False)
    if ctx.program.endswith("ringfort"):
        gone(r, ctx, f"{name} the connection is gone")
    else:
        r.skip(f"{name} the connection is gone", "with rport Kamailio connects to the port that the request came from")
