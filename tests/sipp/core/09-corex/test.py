# SPDX-License-Identifier: BSD-2-Clause
"""Module corex: codes of its functions, names that it adds to this server's, files without holding up a worker, bytes sent as they are."""
import os
import socket

import sip


def run(r, ctx):
    name = "core/09-corex"
    port = sip.free_port()
    srv = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    srv.bind(("127.0.0.1", 0))
    srv.settimeout(5)
    records = f"{sip.temp_dir()}/records"
    with open(records, "w") as f:
        f.write("# of a file\nname=filed.test;type=A;addr=127.0.0.1;flags=2\n\n  name=_sip._udp.srv.test; type=SRV; addr=filed.test; port=SRVPORT; priority=1; weight=2; ttl=60\n"
                "name=gone.test;type=A;flags=1\nname=gone.test;type=AAAA;flags=1\n".replace("SRVPORT", str(srv.getsockname()[1])))
    with ctx.server("server.cfg", port=port, defines=[f'LISTEN_TEXT="udp:127.0.0.1:{port}"', f'RECORDS="{records}"']) as server:
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
        v = ask("sip:names@test.ringfort", "n1", [f"X-Port: {srv.getsockname()[1]}"])
        r.check(f"{name} names of a file, with an SRV record and one that does not exist", v == "1 1 -1" and [srv.recv(65536) for _ in range(2)] == [b"FILE", b"SRV"], v)
        main = f"udp:127.0.0.1:{port}"
        v = ask("sip:lsock@test.ringfort", "l1")
        r.check(f"{name} $lsock", v == f"[{main}][udp:192.0.2.7:5099][main][main][{main}][{main}][][][1][<null>][<null>][0]", v)
        v = ask("sip:sock@test.ringfort", "k1")
        r.check(f"{name} sock", v == "1.2.3.4,5070,udp,sip:1.2.3.4:5070;transport=udp [::1],99,sip:[::1]:99;transport=tcp 1.2.3.4,,,sip:1.2.3.4 host,sip:host:5080 []", v)
        rpc = server.rpc
        sockets = rpc("corex.list_sockets")
        r.check(f"{name} list_sockets", [s["sockname"] for s in sockets] == ["main", "-"] and [s["advertise"] for s in sockets] == ["udp:192.0.2.7:5099", "-"], sockets)
        report, stats = rpc("shm.report"), rpc("shm.stats")
        r.check(f"{name} shm.report", report["total_size"] == stats["total"] and 0 < report["used_size_s"] <= report["real_used_s"] and report["used_frags"] > 0, report)
        for params, says in ((("idx",), "Selector and value not provided"), (("foo", 1), "Unsupported selector type"), (("idx", 1000), "Index value out of range"), (("pid", 1), "No such pid")):
            try:
                said = rpc("corex.pkg_summary", *params)
            except RuntimeError as e:
                said = str(e)
            r.check(f"{name} pkg_summary {params}", says in str(said), said)
        r.check(f"{name} pkg_summary", rpc("corex.pkg_summary", "idx", 1) == {} and rpc("corex.pkg_summary", "pid", server.workers()[0]) == {}
                and sip.wait_until(lambda: server.log_text().count("private memory of process") == 2), server.log_text()[-300:])
        for s in (c, tcp, got, srv):
            s.close()
        a.close()
    folder = sip.temp_dir()
    with open(f"{folder}/bad.dns", "w") as f:
        f.write("# one\n\n  \nname=a.test;type=A;addr=127.0.0.1\nname=b.test;type=A;addr=nonsense\n")
    for bad, says in (('modparam("corex", "dns_cache", "name=x;addr=::1")', "an address of its type"), ('modparam("corex", "dns_cache", "name=x;type=SRV;addr=y")', "port= expected"),
                      ('modparam("corex", "dns_cache", "name=x;addr=127.0.0.1;port=65536")', "0 to 65535"), ('modparam("corex", "dns_cache", "name=x;colour=red")', "colour=red"),
                      (f'modparam("corex", "dns_file", "{folder}/none")', "No such file"), (f'modparam("corex", "dns_file", "{folder}")', "directory"),
                      (f'modparam("corex", "dns_file", "{folder}/bad.dns")', "bad.dns:5: "), ('request_route { forward_uac("1", "2"); }', "forward_uac"),
                      ('request_route { $var(x) = $lsock(x/y/name); }', "$lsock(match/value/field)"), ('request_route { $var(x) = $lsock(n/y); }', "$lsock(match/value/field)")):
        path = f"{folder}/bad.cfg"
        with open(path, "w") as f:
            f.write('#!KAMAILIO\nlisten=LISTEN_UDP \nloadmodule "pv.so" loadmodule "corex.so"\n' + bad + ("" if "route" in bad else "\nrequest_route { exit; }") + "\n")
        server = ctx.server(path, wait=False)
        r.check(f"{name} refused: {says}", server.proc.wait(20) != 0 and says in server.log_text() and "bad.cfg:4" in server.log_text(), server.log_text()[-300:])
