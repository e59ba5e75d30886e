# SPDX-License-Identifier: BSD-2-Clause
"""Replies that wait: t_suspend() in onreply_route, t_continue() from another request."""
import sip


def run(r, ctx):
    name = "tm/14-suspended-replies"
    ours = ctx.program.endswith("ringfort")
    # the callee's replies follow each other at once, and are to be put aside in their order
    with ctx.server("server.cfg", args=["--steer-by-flow"] if ours else []) as server:
        a = sip.Ua(server.host, server.port, user="alice")
        b = sip.Ua(server.host, server.port, user="bob")

        def send(method, cid, user="x", headers=(), **kw):
            a.send(a.request(method, f"sip:{user}@{server.host}:{server.port}", "<sip:x@test.ringfort>", callid=cid, headers=headers, **kw))

        def start(method, cid, wait, **kw):
            send(method, cid, headers=[f"X-To: {b.hostport}", f"X-Wait: {wait}"], **kw)
            return b.expect(lambda m: m.method == method and m.get("Call-ID") == cid)

        def heard(cid, seconds=5, above=100, method=None):
            return a.expect(lambda m: m.status is not None and m.status > above and m.get("Call-ID") == cid and method in (None, m.cseq_method), seconds)

        def ids(cid):
            found = []
            sip.wait_until(lambda: [found.append(t) for t in server.rpc("tm.list") if t["callid"].removeprefix("Call-ID: ").strip() == cid] or found, 5)
            return f"{found[0]['tindex']}:{found[0]['tlabel']}" if found else "0:0"

        def go(cid, route):
            """Answer to the request to continue: tried until the reply has been put aside."""
            got = []

            def tried():
                n = f"{cid}-go{len(got)}"
                send("MESSAGE", n, "go", [f"X-Id: {ids(cid)}", f"X-Route: {route}"])
                m = heard(n)
                got.append(m.status if m else None)
                return got[-1] == 200
            sip.wait_until(tried, 3)
            return got[-1]

        m = start("MESSAGE", "m1", 200)
        b.reply(m, 200, "OK", tag="t")
        r.check(f"{name} a final reply waits", heard("m1", 0.4) is None)
        b.reply(m, 200, "OK", tag="t")
        r.check(f"{name} t_continue", go("m1", "PASS") == 200)
        got = heard("m1")
        r.check(f"{name} it goes on, with what both routes did to it", got and got.status == 200 and got.get("X-Went-On") == "200 200" and got.get("X-Before") == "yes", got and got.raw)
        r.check(f"{name} once", heard("m1", 0.3) is None)

        inv = start("INVITE", "i1", "18.")
        b.reply(inv, 180, "Ringing", tag="t")
        r.check(f"{name} a provisional reply waits", heard("i1", 0.4) is None)
        if ours:  # there, what follows a reply that waits is lost
            b.reply(inv, 183, "Progress", tag="t")
            b.reply(inv, 200, "OK", tag="t")
            r.check(f"{name} so does what follows it", heard("i1", 0.4) is None)
            r.check(f"{name} t_continue of the first", go("i1", "PASS") == 200)
            got = heard("i1")
            r.check(f"{name} 180", got and got.status == 180 and got.get("X-Went-On") == "180 180", got and got.raw)
            r.check(f"{name} the second waits by itself", heard("i1", 0.3) is None and go("i1", "PASS") == 200)
            got = [heard("i1"), heard("i1")]
            r.check(f"{name} 183 and 200, in this order", [m and m.status for m in got] == [183, 200], [m and m.first for m in got])
            r.check(f"{name} and no more", go("i1", "PASS") == 404)

        inv = start("INVITE", "i2", "404")
        b.reply(inv, 404, "Not Found", tag="t")
        r.check(f"{name} a failure waits", heard("i2", 0.4) is None)
        r.check(f"{name} t_continue of a failure", go("i2", "PASS") == 200)
        got = heard("i2")
        r.check(f"{name} then the failure route runs", got and got.status == 480 and got.get("X-Failed") == "404 0", got and got.raw)
        r.check(f"{name} and it is acknowledged", b.expect(lambda m: m.method == "ACK" and m.get("Call-ID") == "i2"))

        m = start("MESSAGE", "m2", 200)
        b.reply(m, 200, "OK", tag="t")
        r.check(f"{name} unknown route", sip.wait_until(lambda: heard("m2", 0.05) is None) and go("m2", "NOWHERE") == 404)
        if ours:  # there, nothing ends it
            got = heard("m2", 6)
            r.check(f"{name} nobody continues: fr_timer", got and got.status == 480 and got.get("X-Failed") == "408 1", got and got.raw)
            r.check(f"{name} then there is nothing to continue", go("m2", "PASS") == 404)

        m = start("MESSAGE", "m3", 200)
        b.reply(m, 200, "OK", tag="t")
        r.check(f"{name} suspended again", go("m3", "MORE") == 200 and heard("m3", 0.3) is None and go("m3", "PASS") == 200)
        got = heard("m3")
        r.check(f"{name} and continued", got and got.status == 200 and got.get("X-Went-On") == "more 200", got and got.raw)

        inv = start("INVITE", "i3", "180", branch="z9hG4bKi3")
        b.reply(inv, 180, "Ringing", tag="t")
        if ours:  # there, it goes on all the same
            r.check(f"{name} drop in the continued route", go("i3", "DROP") == 200 and heard("i3", 0.3) is None)
        b.reply(inv, 180, "Ringing", tag="t")
        heard("i3", 0.2)
        send("CANCEL", "i3", branch="z9hG4bKi3")
        can = b.expect(lambda m: m.method == "CANCEL" and m.get("Call-ID") == "i3")
        r.check(f"{name} CANCEL while a 180 waits", can)
        if can:
            b.reply(can, 200, "OK")
            b.reply(inv, 487, "Request Terminated", tag="t")
        if ours:
            go("i3", "PASS")
            got = [heard("i3", method="INVITE"), heard("i3", method="INVITE")]
            r.check(f"{name} ends as it should", [m and m.status for m in got] == [180, 480], [m and m.first for m in got])
        r.check(f"{name} no error in the log", "cannot wait" not in server.log_text(), server.log_text()[-500:])
        a.close()
        b.close()
