# SPDX-License-Identifier: BSD-2-Clause
"""What a script may put into own Via, with and without a transaction; flags that travel in it; requests sent on as our own; parameters for the Via of replies."""
import re
import socket

import sip

# X-Do, sent-by (None: the socket's), what stands behind the branch
VIAS = (("", None, ""), ("s", None, ";srvid=7"), ("p", None, ";c=5;b=x.y-z;a=1"), ("sp", None, ";srvid=7;c=5;b=x.y-z;a=1"), ("spr", None, ";rport;srvid=7;c=5;b=x.y-z;a=1"),
        ("sp-", None, ""), ("f", "10.10.10.10", ""), ("fo", "10.10.10.10:5999", ""), ("fo-", None, ""))


def run(r, ctx):
    name = "core/12-via"
    tcp = sip.Ua("127.0.0.1", 0, proto="tcp", listen=True)
    nobody = sip.free_port()

    def srv(name, port, priority):
        return f'{name}="name=_sip._tcp.over.test;type=SRV;addr=target.test;port={port};priority={priority}"'

    with ctx.server("server.cfg", defines=[srv("FIRST", nobody, 1), srv("SECOND", tcp.port, 2)]) as server:
        a, b = sip.Ua(server.host, server.port), sip.Ua(server.host, server.port)

        def n(key):
            try:
                return str(server.rpc("htable.get", "n", key)["item"]["value"])
            except RuntimeError as e:
                return str(e)

        def send(user, cid, do="", method="OPTIONS"):
            a.send(a.request(method, f"sip:{user}@test.ringfort", "<sip:x@test.ringfort>", callid=cid, headers=[f"X-Port: {b.port}", f"X-Do: {do}"]))
            return b.expect(lambda m: m.method == method and m.get("Call-ID") == cid, 3)

        def answer(cid):
            return a.expect(lambda m: m.status and m.status >= 200 and m.get("Call-ID") == cid, 3)

        def ask(user, cid, do=""):
            a.send(a.request("OPTIONS", f"sip:{user}@test.ringfort", "<sip:x@test.ringfort>", callid=cid, headers=[f"X-Do: {do}"]))
            return answer(cid)

        for user in ("stateless", "stateful"):
            for i, (do, by, params) in enumerate(VIAS):
                cid = f"{user}{i}"
                m = send(user, cid, do)
                via = m and m.all("Via")[0]
                got = via and re.fullmatch(r"SIP/2.0/UDP ([^;]*);branch=(z9hG4bK[^;]*)(;.*)?", via)
                r.check(f"{name} {user} '{do}'", got and got[1] == (by or f"127.0.0.1:{server.port}") and (got[3] or "") == params, via)
                if m and by is None:
                    b.reply(m, 200, "OK")
                    back = answer(cid)
                    r.check(f"{name} {user} '{do}' answered", back and back.status == 200 and len(back.all("Via")) == 1, back and back.raw)
        m = send("stateful", "ft", "fot")
        via = m and m.all("Via")[0]
        r.check(f"{name} another transport", via and via.startswith("SIP/2.0/TCP 10.10.10.10:5999;branch="), via)
        if m:
            b.reply(m, 200, "OK")  # the transaction knows its answer by the branch, whatever the address says
            r.check(f"{name} answered all the same", answer("ft"))
        m = send("stateful", "q", "q")
        via = m and m.all("Via")[0]
        r.check(f"{name} text that needs quotes, and what cannot stand there", via and via.endswith(r';one="as \"it\" is";two="\"x\";branch=z9hG4bKevil;y=\"z\"";quoted="a b;c"') and "X-Injected" not in m.raw.decode(), via)
        if m:
            b.reply(m, 200, "OK")
        r.check(f"{name} is said", sip.wait_until(lambda: "$xavp(xvia=>bad)" in server.log_text()), server.log_text()[-300:])
        m = send("stateful", "A", "As")
        via = m and m.all("Via")[0]
        r.check(f"{name} with an advertised address", via and via.startswith("SIP/2.0/UDP 9.9.9.9:") and via.endswith(";srvid=7"), via)
        if m:
            b.reply(m, 200, "OK")
        # the next address of the same name: another branch of the same Via
        a.send(a.request("OPTIONS", "sip:stateful@test.ringfort", "<sip:x@test.ringfort>", callid="over", headers=["X-Do: spvn"]))
        m = tcp.expect(lambda m: m.method and m.get("Call-ID") == "over", 5)
        via = m and m.all("Via")[0]
        r.check(f"{name} failed over with all of it", via and re.fullmatch(r"SIP/2.0/TCP 127.0.0.1:\d+;branch=z9hG4bK[^;]*\.01\.v12;srvid=7;c=5;b=x.y-z;a=1", via), via)
        if m:
            tcp.reply(m, 200, "OK")
        r.check(f"{name} and its answer is known", answer("over"))
        # the switches stay for a leg that a failure route starts
        m = send("stateful", "leg", "s2", method="MESSAGE")
        if m:
            b.reply(m, 486, "Busy")
        m = b.expect(lambda m: m.method and m.get("Call-ID") == "leg" and "again@" in m.ruri, 3)
        r.check(f"{name} second leg", m and m.all("Via")[0].endswith(";srvid=7"), m and m.raw)
        if m:
            b.reply(m, 200, "OK")
        r.check(f"{name} internal flags go with the transaction", n("iflag") == "1", n("iflag"))
        m = ask("icodes", "ic")
        r.check(f"{name} codes of msg_iflag", m and m.get("X-Out") == "-2 1 1 -2 1 -2", m and m.raw)

        # ---- flags in the Via ----
        m = ask("vcodes", "vc")
        r.check(f"{name} codes of msg_vbflag and t_vbflag", m and m.get("X-Out") == "-1 1 1 1 -1 -1 -1 -1 1 1 1 -1 -1", m and m.raw)
        for user in ("stateless", "stateful"):
            m = send(user, f"v{user}", "v")
            via = m and m.all("Via")[0]
            r.check(f"{name} {user} flags behind the branch", via and via.endswith(".v12"), via)
            if m:
                b.reply(m, 200, "OK")
            r.check(f"{name} {user} answered with flags", answer(f"v{user}"))
            r.check(f"{name} {user} flags of a reply", (n("parsed"), n("one"), n("three")) == ("yes", "1", "-1"), (n("parsed"), n("one"), n("three")))
        m = send("stateful", "vnone")
        if m:
            b.reply(m, 200, "OK")
        r.check(f"{name} a reply without", answer("vnone") and n("parsed") == "no", n("parsed"))
        first = send("stateful", "vb", "vb", method="INVITE")
        second = b.expect(lambda m: m.method == "INVITE" and m.get("Call-ID") == "vb", 3)
        if first and second and first.ruri.startswith("sip:second"):
            first, second = second, first
        r.check(f"{name} flags of a branch", first and second and first.all("Via")[0].endswith(".v112") and second.all("Via")[0].endswith(".v212"),
                [m and m.all("Via")[0] for m in (first, second)])
        if first and second:
            b.reply(second, 486, "Busy", tag="b")
            ack = b.expect(lambda m: m.method == "ACK" and m.get("Call-ID") == "vb", 3)
            r.check(f"{name} the ACK has them", ack and ack.all("Via")[0] == second.all("Via")[0], ack and ack.raw)
            r.check(f"{name} in the reply's route", n("eight") == "-1 1", n("eight"))
            b.reply(first, 480, "No", tag="a")
            m = answer("vb")
            r.check(f"{name} in the failure route", m and n("failed") in ("1", "-1"), m and m.raw)

        # ---- as our own request ----
        for user, end in (("alone", None), ("alone3", ".3"), ("there", None)):
            m = send(user, user)
            via = m and m.all("Via")
            r.check(f"{name} {user}: one Via, ours", via and len(via) == 1 and via[0].startswith(f"SIP/2.0/UDP 127.0.0.1:{server.port};branch=z9hG4bK") and (end is None or via[0].endswith(end)), via)
            if m:
                b.reply(m, 200, "OK")
        # ---- replies ----
        for user in ("reply", "treply"):
            m = ask(user, user)
            r.check(f"{name} {user} says more in the Via", m and m.all("Via")[0].endswith(";n=3;site=north") and f";rport={a.port}" in m.all("Via")[0], m and m.raw)
            m = ask(user, user + "2", "-")
            r.check(f"{name} {user} switched off", m and "site=" not in m.all("Via")[0], m and m.raw)
        r.check(f"{name} nobody got an answer to what was not theirs", not [m for m in a.inbox if m.get("Call-ID") in ("alone", "alone3", "there")], [m.raw for m in a.inbox])
        a.close()
        b.close()
    tcp.close()
    full(r, ctx, name)


def full(r, ctx, name):
    """A forward_uac() that could ask nobody for its name leaves nothing behind for what is tried instead."""
    mute = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    mute.bind(("127.0.0.1", 0))
    none = 'name="name=unused.test;type=A;addr=127.0.0.1"'
    with ctx.server("server.cfg", defines=["ONE", none.replace("name", "FIRST", 1), none.replace("name", "SECOND", 1)], env={"RINGFORT_DNS_SERVERS": "127.0.0.1:%d" % mute.getsockname()[1]}) as server:
        a, b = sip.Ua(server.host, server.port), sip.Ua(server.host, server.port)
        for i in range(4200):  # as many questions as a worker has at once
            a.send(a.request("OPTIONS", "sip:fill@test.ringfort", "<sip:x@test.ringfort>", callid=f"h{i}"))
            if i % 100 == 99:
                sip.options(server.host, server.port)  # else the socket's buffer overflows
        for user in ("stuck", "stuckt"):
            a.send(a.request("OPTIONS", f"sip:{user}@test.ringfort", "<sip:x@test.ringfort>", callid=user, headers=[f"X-Port: {b.port}"]))
            m = b.expect(lambda m: m.method == "OPTIONS" and m.get("Call-ID") == user, 3)
            via = m and m.all("Via")
            r.check(f"{name} {user}: with the client's Via", via and len(via) == 2 and not via[0].endswith(".3"), via)
        a.close()
        b.close()
    mute.close()
