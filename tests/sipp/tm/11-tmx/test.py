# SPDX-License-Identifier: BSD-2-Clause
"""Module tmx: t_suspend and t_continue, t_drop, cancelling and answering other transactions, variables."""
import time

import sip


def run(r, ctx):
    name = "tm/11-tmx"
    with ctx.server("server.cfg") as server:
        a = sip.Ua(server.host, server.port, user="alice")
        b = sip.Ua(server.host, server.port, user="bob")
        c = sip.Ua(server.host, server.port, user="carol")

        def send(method, cid, user, headers=(), **kw):
            a.send(a.request(method, f"sip:{user}@{server.host}:{server.port}", "<sip:x@test.ringfort>", callid=cid, headers=headers, **kw))

        def final(cid, seconds=5, cseq=None):
            return a.expect(lambda m: m.status is not None and m.status >= 200 and m.get("Call-ID") == cid and (cseq or m.cseq_method) == m.cseq_method, seconds)

        def at(ua, method, cid, seconds=5):
            return ua.expect(lambda m: m.method == method and m.get("Call-ID") == cid, seconds)

        def ids(cid):
            found = []
            sip.wait_until(lambda: [found.append(t) for t in server.rpc("tm.list") if t["callid"].removeprefix("Call-ID: ").strip() == cid] or found, 5)
            return f"{found[0]['tindex']}:{found[0]['tlabel']}" if found else "0:0"

        def go(cid, route, to=""):
            send("MESSAGE", cid + "-go", "go", [f"X-Id: {ids(cid)}", f"X-Route: {route}"])
            return final(cid + "-go")

        for method in ("INVITE", "MESSAGE"):
            cid = "s1" + method
            send(method, cid, "wait")
            if method == "INVITE":
                r.check(f"{name} t_suspend sends 100", a.expect(100))
            went = go(cid, "ANSWER")
            r.check(f"{name} {method} t_continue", went and went.status == 200, went and went.first)
            got = final(cid)
            r.check(f"{name} {method} the route answers, as a failure route with the attributes kept", got and got.status == 403 and
                    got.get("X-Went-On") == "kept wait 1", got and got.raw)
            r.check(f"{name} {method} a second time there is nothing", go(cid, "ANSWER").status == 404)
        send("INVITE", "s2", "wait", [f"X-To: {b.hostport}"])
        go("s2", "RELAY")
        inv = at(b, "INVITE", "s2")
        r.check(f"{name} the route relays, edits kept", inv and inv.get("X-Edit") == "yes", inv and inv.raw)
        b.reply(inv, 486, "Busy", tag="t", headers=["X-B: bee"])
        got = final("s2")
        r.check(f"{name} and what comes back runs the failure route", got and got.status == 488 and got.get("X-Failure") == "2 486 Busy 0 486 bee", got and got.raw)
        send("INVITE", "s3", "wait")
        go("s3", "NOTHING")
        got = final("s3")
        r.check(f"{name} a route that does nothing", got and got.first == "SIP/2.0 500 I'm terribly sorry, server error occurred (1/TM)", got and got.first)
        send("INVITE", "s4", "wait")
        r.check(f"{name} unknown route", go("s4", "NOWHERE").status == 404)
        got = final("s4")
        r.check(f"{name} nobody continues: fr_timer, failure route", got and got.status == 480 and got.get("X-Failure") == "1 408 1", got and got.raw)
        send("INVITE", "s5", "wait")
        go("s5", "AGAIN")
        go("s5", "ANSWER")
        got = final("s5")
        r.check(f"{name} suspended twice", got and got.status == 403, got and got.raw)
        send("INVITE", "s6", "wait", ["X-Mark: me"], branch="z9hG4bKs6")
        a.expect(lambda m: m.status == 100 and m.get("Call-ID") == "s6")
        send("CANCEL", "s6", "wait", branch="z9hG4bKs6")
        got = final("s6", cseq="INVITE")
        r.check(f"{name} CANCEL of a suspended one", got and got.first == "SIP/2.0 487 Request canceled", got and got.first)
        got = final("s6", cseq="CANCEL")
        r.check(f"{name} CANCEL is told that nothing rings", got and got.first == "SIP/2.0 200 ok -- no more pending branches", got and got.raw)
        r.check(f"{name} $T_inv", got and got.get("X-Inv") == f"sip:wait@{server.host}:{server.port} me", got and got.raw)

        if ctx.program.endswith("ringfort"):  # exec() holds a worker of Kamailio
            one = a.request("MESSAGE", f"sip:slow@{server.host}:{server.port}", "<sip:x@test.ringfort>", callid="p1")
            for _ in range(4):
                a.send(one)
            got = [a.expect(lambda m: m.get("Call-ID") == "p1") for _ in range(4)]
            r.check(f"{name} t_precheck_trans: one run has it, the others do not", [m and m.status for m in got] == [182, 182, 182, 200], [m and m.first for m in got])
            send("MESSAGE", "p1", "slow", cseq=2)
            got = [a.expect(lambda m: m.get("Call-ID") == "p1") for _ in range(1)]
            r.check(f"{name} t_precheck_trans: the next request is another one", got[0] and got[0].status == 200, got[0] and got[0].first)

        send("MESSAGE", "d1", "drop")
        r.check(f"{name} t_drop says nothing", final("d1", 0.7) is None)
        send("MESSAGE", "v1", "vars")
        got = final("v1")
        r.check(f"{name} variables of a request", got and got.get("X-Vars") == "0/0/<null>" and got.get("X-Ids"), got and got.raw)

        for ua, q in ((b, "1.0"), (c, "0.5")):
            ua.send(ua.request("REGISTER", f"sip:{server.host}:{server.port}", f"<sip:fork@{server.host}>", callid=f"reg{q}",
                               headers=[f"Contact: <{ua.contact}>;q={q};expires=60"], contact=False))
            r.check(f"{name} registered", ua.expect(200))
        send("INVITE", "c1", "fork", ["X-Mark: m1"])
        inv, inv2 = at(b, "INVITE", "c1"), at(c, "INVITE", "c1")
        r.check(f"{name} branch route", (inv and inv.get("X-Branch"), inv2 and inv2.get("X-Branch")) == ("0 100", "1 100"), inv and inv.raw)
        c.reply(inv2, 180, "Ringing", tag="c")
        got = a.expect(180)
        r.check(f"{name} reply route", got and got.get("X-Reply") == f"1 180 Ringing 180 {c.contact} m1 <null>", got and got.get("X-Reply"))
        b.reply(inv, 183, "Progress", tag="b")
        can = at(c, "CANCEL", "c1")
        r.check(f"{name} t_cancel_branches(others)", can and at(b, "CANCEL", "c1", 0.3) is None)
        c.reply(can, 200, "OK")
        c.reply(inv2, 487, "Request Terminated", tag="c")
        send("MESSAGE", "c1-stop", "stop", ["X-Call: c1"])
        can = at(b, "CANCEL", "c1")
        r.check(f"{name} t_cancel_callid", can and can.get("Reason") == "SIP;cause=410", can and can.raw)
        b.reply(can, 200, "OK")
        b.reply(inv, 487, "Request Terminated", tag="b")
        got = final("c1")
        r.check(f"{name} its flag is seen by the failure route", got and got.status == 480 and got.get("X-Flag") == "5", got and got.raw)
        send("MESSAGE", "c1-stop2", "stop", ["X-Call: nobody"])
        r.check(f"{name} t_cancel_callid of nothing", final("c1-stop2").status == 404)

        send("INVITE", "c2", "x", [f"X-To: {b.hostport}"])
        inv = at(b, "INVITE", "c2")
        send("MESSAGE", "c2-answer", "answer", ["X-Call: c2"])
        got = final("c2")
        r.check(f"{name} t_reply_callid", got and got.first == "SIP/2.0 433 From outside", got and got.first)
        b.reply(inv, 180, "Ringing", tag="b")
        can = at(b, "CANCEL", "c2")
        b.reply(can, 200, "OK")
        b.reply(inv, 487, "Request Terminated", tag="b")

        send("MESSAGE", "r1", "reuse", [f"X-To: {b.hostport}"])
        m = at(b, "MESSAGE", "r1")
        b.reply(m, 430, "Flow failed", tag="b")
        again = at(b, "MESSAGE", "r1")
        r.check(f"{name} t_reuse_branch", again and again.ruri == m.ruri and again.get("Via") != m.get("Via"), again and again.raw)
        b.reply(again, 200, "OK", tag="b")
        got = final("r1")
        r.check(f"{name} and its answer counts", got and got.status == 200, got and got.raw)

        stats = server.rpc("stats.get_statistics", "tmx:")
        have = {s.split(":")[1].split(" ")[0] for s in stats}
        want = {"UAS_transactions", "UAC_transactions", "2xx_transactions", "3xx_transactions", "4xx_transactions", "5xx_transactions", "6xx_transactions",
                "inuse_transactions", "active_transactions", "rpl_received", "rpl_absorbed", "rpl_generated", "rpl_relayed", "rpl_sent"}
        r.check(f"{name} statistics", want <= have, want - have)
        for ua in (a, b, c):
            ua.close()
