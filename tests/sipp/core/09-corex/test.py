# SPDX-License-Identifier: BSD-2-Clause
"""Module corex: codes of its functions, names that it adds to this server's, files without holding up a worker, bytes sent as they are."""
import os
import socket

import sip


def run(r, ctx):
    name = "core/09-corex"
    port = sip.free_port()
    with ctx.server("server.cfg", port=port, defines=[f'LISTEN_TEXT="udp:127.0.0.1:{port}"']) as server:
        a = sip.Ua(server.host, server.port)

        def ask(ruri, cid, headers=()):
            a.send(a.request("OPTIONS", ruri, "<sip:x@test.ringfort>", callid=cid, headers=headers))
            m = a.expect(lambda m: m.status == 200 and m.get("Call-ID") == cid)
            return m and m.get("X-Out")

        v = ask("sip:codes@test.ringfort", "c1", [f"X-Port: {a.port}"])
        line = [i for i, t in enumerate(open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "server.cfg")), 1) if "$cfg(line)" in t][0]
        r.check(f"{name} codes", v == f"1 -1 -1 1 1 1 -1 1 -1 1 -1 1 1 1 192.0.2.9:5077 1 sip:b@127.0.0.1:9/500 l{line} DEFAULT_ROUTE", v)
        for i, (host, want) in enumerate((("free.test", "yes"), ("a.b.free.test", "yes"), ("xfree.test", "no"), ("sub.test:5099", "yes"), ("a.sub.test:5099", "yes"),
                                          ("a.sub.test:5098", "no"), ("other.test", "no"))):
            r.check(f"{name} myself {host}", ask(f"sip:myself@{host}", f"m{i}") == want)
        path = f"{server.dir}/file"
        v = ask("sip:write@test.ringfort", "w1", [f"X-File: {path}"])
        r.check(f"{name} files", v == "1 1 one w1 -1 -1" and open(path).read() == "one w1", v)
        os.mkfifo(f"{server.dir}/fifo")
        a.send(a.request("OPTIONS", "sip:write@test.ringfort", "<sip:x@test.ringfort>", callid="w2", headers=[f"X-File: {server.dir}/fifo"]))
        r.check(f"{name} a FIFO without a reader holds nobody up", ask("sip:myself@free.test", "m9") == "yes")
        got = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        got.bind(("127.0.0.1", 0))
        got.settimeout(5)
        tcp = socket.socket()
        tcp.bind(("127.0.0.1", 0))
        tcp.listen(4)
        tcp.settimeout(5)
        v = ask("sip:send@test.ringfort", "s1", [f"X-Port: {got.getsockname()[1]}", f"X-Tcp: {tcp.getsockname()[1]}"])
        r.check(f"{name} codes of sending", v == "1 1 1 -1 -1 1", v)
        came = [got.recv(65536) for _ in range(3)]
        whole = [m for m in came if m.startswith(b"OPTIONS ")]
        r.check(f"{name} a message without a Via of ours, to a name of dns_cache", len(whole) == 1 and whole[0].count(b"\r\nVia:") == 1 and b"\r\nCall-ID: s1" in whole[0], came)
        r.check(f"{name} texts", b"DATA of s1" in came and b"DATAX of s1" in came, came)
        c, _ = tcp.accept()
        c.settimeout(5)
        r.check(f"{name} by TCP", c.recv(65536).startswith(b"OPTIONS sip:send@"))
        for s in (c, tcp, got):
            s.close()
        a.close()
    for bad, says in (('modparam("corex", "nio_intercept", 1)', "network:msg"), ('modparam("corex", "evcb_reply_out", "x")', "corex:reply-out"),
                      ('modparam("corex", "dns_cache", "name=x;addr=::1")', "an address of its type"), ("request_route { forward_uac(); }", "forward_uac")):
        path = f"{sip.temp_dir()}/bad.cfg"
        with open(path, "w") as f:
            f.write('#!KAMAILIO\nlisten=LISTEN_UDP\nloadmodule "corex.so"\n' + bad + ("" if "route" in bad else "\nrequest_route { exit; }") + "\n")
        server = ctx.server(path, wait=False)
        r.check(f"{name} refused: {says}", server.proc.wait(20) != 0 and says in server.log_text() and "bad.cfg:4" in server.log_text(), server.log_text()[-300:])
