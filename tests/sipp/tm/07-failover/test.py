# SPDX-License-Identifier: BSD-2-Clause
"""A next hop that fails: further addresses of its name (RFC 3263, 4.3) after silence, a refused connection and 503; else the failure route."""
import os
import socket
import subprocess
import tempfile

import sip


def run(r, ctx):
    name = "tm/07-failover"
    silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    silent.bind(("127.0.0.1", 0))
    dead = sip.free_port()  # nobody listens there
    one = sip.Ua("127.0.0.1", 9, user="one")
    good = sip.Ua("127.0.0.1", 9, user="good")
    tcp = sip.Ua("127.0.0.1", 9, "tcp", listen=True, user="tcp")
    dns = sip.free_port()
    zone = [("_sip._udp.silent.test", silent.getsockname()[1], 1), ("_sip._udp.silent.test", good.port, 2), ("_sip._udp.busy.test", one.port, 1),
            ("_sip._udp.busy.test", good.port, 2), ("_sip._tcp.refused.test", dead, 1), ("_sip._tcp.refused.test", tcp.port, 2),
            ("_sip._udp.mute.test", silent.getsockname()[1], 1), ("_sip._tcp.heard.test", tcp.port, 1)]
    with tempfile.TemporaryDirectory(prefix="ringfort-dns-") as tmp:
        daemon = subprocess.Popen(["dnsmasq", "-k", "-C", "/dev/null", "-p", str(dns), "--listen-address=127.0.0.1", "--bind-interfaces", "--no-resolv", "--no-hosts",
                                   "--user=", "--group=", f"--pid-file={tmp}/pid", "--address=/h.test/127.0.0.1"] +
                                  [f"--srv-host={n},h.test,{port},{prio},0" for n, port, prio in zone] +
                                  ["--naptr-record=both.test,1,1,s,SIP+D2U,,_sip._udp.mute.test", "--naptr-record=both.test,2,1,s,SIP+D2T,,_sip._tcp.heard.test"], preexec_fn=sip.die_with_parent, stderr=subprocess.DEVNULL)
        try:
            with ctx.server("server.cfg", env={"RINGFORT_DNS_SERVERS": f"127.0.0.1:{dns}"}) as server:
                scenarios(r, name, server, one, good, tcp, dead, silent)
        finally:
            daemon.kill()
            daemon.wait()
    for ua in (one, good, tcp):
        ua.close()
    silent.close()


def scenarios(r, name, server, one, good, tcp, dead, silent):
    a = sip.Ua(server.host, server.port, user="alice")
    for ua in (one, good, tcp):
        ua.peer = (server.host, server.port)

    def send(method, cid, nxt, second=None, fork=None, user="bob"):
        a.send(a.request(method, f"sip:{user}@test.ringfort", "<sip:bob@test.ringfort>", callid=cid,
                         headers=[f"X-Next: {nxt}"] + ([f"X-Second: {second}"] if second else []) + ([f"X-Fork: {fork}"] if fork else [])))

    def at(ua, cid, seconds=6):
        return ua.expect(lambda m: m.method in ("MESSAGE", "INVITE") and m.get("Call-ID") == cid, seconds)

    def final(cid, seconds=6):
        return a.expect(lambda m: m.status is not None and m.status >= 200 and m.get("Call-ID") == cid, seconds)

    def answered(what, ua, cid):
        m = at(ua, cid)
        if r.check(f"{name} {what}: the other address is tried", m):
            r.check(f"{name} {what}: what the branch route added is there once", m.all("X-Branch") == ["run"], m.raw)
            ua.reply(m, 200, "OK", tag="g")
            got = final(cid)
            r.check(f"{name} {what}: its answer comes back", got and got.status == 200, got and got.first)

    send("MESSAGE", "f1", "sip:silent.test")
    answered("silence", good, "f1")
    send("INVITE", "f2", "sip:silent.test")
    answered("silence of an INVITE", good, "f2")
    for code in (503, 480):
        send("MESSAGE", f"f3{code}", "sip:busy.test")
        m = at(one, f"f3{code}")
        if r.check(f"{name} {code}: the first address is asked", m):
            one.reply(m, code, "no", tag="o")
        answered(f"{code}", good, f"f3{code}")
    send("MESSAGE", "f4", "sip:busy.test")
    m = at(one, "f4")
    one.reply(m, 404, "Not Found", tag="o")
    got = final("f4")
    r.check(f"{name} 404 is an answer", got and got.status == 404 and at(good, "f4", 0.2) is None, got and got.first)
    send("MESSAGE", "f5", "sip:refused.test;transport=tcp")
    answered("a refused connection", tcp, "f5")
    # from a datagram to a stream, where nothing but a Content-Length ends a message
    text = a.request("MESSAGE", "sip:bob@test.ringfort", "<sip:bob@test.ringfort>", callid="f7", headers=["X-Next: sip:both.test"])
    a.send(text.replace(b"Content-Length: 0\r\n", b""))
    m = at(tcp, "f7")
    if r.check(f"{name} to another transport", m and m.get("Via").startswith("SIP/2.0/TCP"), m and m.raw):
        r.check(f"{name} to another transport: Content-Length", m.all("Content-Length") == ["0"], m.raw)
        tcp.reply(m, 200, "OK", tag="t")
    got = final("f7")
    r.check(f"{name} to another transport: the answer", got and got.status == 200, got and got.first)
    # somebody answered while the first address was silent: nobody else is called
    send("INVITE", "f6", "sip:silent.test", fork=one.hostport)
    m = at(one, "f6")
    one.reply(m, 200, "OK", tag="o")
    got = final("f6")
    r.check(f"{name} one of a fork answers", got and got.status == 200, got and got.first)
    r.check(f"{name} no further address is tried for an answered call", at(good, "f6", 2) is None)
    # one address alone: the failure route
    send("MESSAGE", "g1", f"sip:127.0.0.1:{dead};transport=tcp", f"sip:{good.hostport}")
    m = at(good, "g1")
    if r.check(f"{name} refused, one address: the failure route goes on", m):
        r.check(f"{name} no timeout, no reply", not m.get("X-Timeout") and not m.get("X-Replied") and m.get("X-Status"), m.raw)
        good.reply(m, 200, "OK", tag="g")
    got = final("g1")
    r.check(f"{name} and its answer comes back", got and got.status == 200, got and got.first)
    send("MESSAGE", "g2", f"sip:127.0.0.1:{dead};transport=tcp")
    got = final("g2")
    r.check(f"{name} refused, no failure route: 477", got and got.status == 477, got and got.first)
    send("MESSAGE", "g3", f"sip:127.0.0.1:{silent.getsockname()[1]}", f"sip:{good.hostport}")
    m = at(good, "g3")
    if r.check(f"{name} silence, one address: the failure route goes on", m):
        r.check(f"{name} it knows of the timeout", m.get("X-Timeout") == "yes" and not m.get("X-Replied"), m.raw)
        good.reply(m, 200, "OK", tag="g")
    final("g3")
    send("MESSAGE", "g4", "sip:nowhere.test")
    got = final("g4", 8)
    r.check(f"{name} a name that does not exist: 478", got and got.first == "SIP/2.0 478 Unresolvable destination (478/TM)", got and got.first)
    send("MESSAGE", "g5", "-", user="quiet")
    r.check(f"{name} a name that does not exist, no reply wanted", final("g5", 1) is None)
    a.close()
