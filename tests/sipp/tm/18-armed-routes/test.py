# SPDX-License-Identifier: BSD-2-Clause
"""t_on_reply() counts for the later branches of a transaction, too; t_on_failure() for one leg. What t_is_set() says in each. $T_req() in reply_route."""
import sip


def run(r, ctx):
    name = "tm/18-armed-routes"
    with ctx.server("server.cfg") as server:
        a, b, c = (sip.Ua(server.host, server.port, user=u) for u in ("alice", "bob", "carol"))

        def seen(cid, *headers):
            """What the routes wrote down while bob, then carol refused the call."""
            a.send(a.request("INVITE", f"sip:x@{server.host}:{server.port}", "<sip:x@test.ringfort>", callid=cid,
                             headers=[f"X-One: {b.hostport}", f"X-Two: {c.hostport}", *headers]))
            for ua, status in ((b, 486), (c, 503)):
                m = ua.expect(lambda m: m.method == "INVITE" and m.get("Call-ID") == cid, 5)
                if m:
                    ua.reply(m, status, "No", tag="t")
            got = a.expect(lambda m: m.status is not None and m.status >= 300 and m.get("Call-ID") == cid, 5)
            return got and got.first

        for what, cid, headers, want in (
                ("from the request route", "c1", (), "486frR503fr"),
                ("from the branch route", "c2", ("X-Branch: 1",), "486frR503fr"),
                ("until it is taken back", "c3", ("X-Off: 1",), "486frR")):
            said = seen(cid, *headers)
            r.check(f"{name} {what}", said == f"SIP/2.0 480 {want}", said)
