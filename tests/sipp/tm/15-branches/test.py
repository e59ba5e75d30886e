# SPDX-License-Identifier: BSD-2-Clause
"""t_msg_apply_changes() in branch routes, t_cell_append_branches(): functions of later versions than the Kamailio that may be installed."""
import sip


def run(r, ctx):
    name = "tm/15-branches"
    if not ctx.program.endswith("ringfort"):
        r.skip(name, "Kamailio 5.6 does not have these functions")
        return
    with ctx.server("server.cfg") as server:
        a, b, c, d = (sip.Ua(server.host, server.port, user=u) for u in ("alice", "bob", "carol", "dave"))

        def send(method, cid, user="x", headers=(), **kw):
            a.send(a.request(method, f"sip:{user}@{server.host}:{server.port}", "<sip:x@test.ringfort>", callid=cid, headers=headers, **kw))

        def final(cid, seconds=5):
            return a.expect(lambda m: m.status is not None and m.status >= 200 and m.get("Call-ID") == cid, seconds)

        def at(ua, method, cid, seconds=5):
            return ua.expect(lambda m: m.method == method and m.get("Call-ID") == cid, seconds)

        def add(cid, *to, ids=None):
            if not ids:
                found = []
                sip.wait_until(lambda: [found.append(t) for t in server.rpc("tm.list") if t["callid"] == f"Call-ID: {cid}\r\n"] or found, 5)
                ids = f"{found[0]['tindex']}:{found[0]['tlabel']}" if found else "0:0"
            send("MESSAGE", cid + "-add", "add", [f"X-Id: {ids}", *(f"X-To: {x}" for x in to)])
            got = final(cid + "-add")
            return got and got.status

        # each branch its own
        send("INVITE", "i1", headers=[f"X-First: {b.hostport}", f"X-Second: {c.hostport}", "X-Gone: here"])
        one, two = at(b, "INVITE", "i1"), at(c, "INVITE", "i1")
        r.check(f"{name} a branch that is left as it was", one and one.get("X-Seen") == f"mine=<null> all=<null> gone=here ru=sip:first@{b.hostport}" and
                one.get("X-All") == "1" and one.get("X-Mine") is None and one.get("X-Gone") == "here", one and one.raw)
        r.check(f"{name} a branch that reads its changes", two and two.get("X-Seen") == f"mine=second all=1 gone=<null> ru=sip:second@{c.hostport}" and
                two.get("X-All") == "1" and two.get("X-Mine") == "second" and two.get("X-Gone") is None and two.ruri == f"sip:second@{c.hostport}", two and two.raw)
        r.check(f"{name} both are record-routed", one and two and one.get("Record-Route") == two.get("Record-Route") and one.get("Record-Route"))

        # while it rings
        b.reply(one, 180, "Ringing", tag="b")
        c.reply(two, 486, "Busy", tag="c")
        r.check(f"{name} t_cell_append_branches", add("i1", d.hostport, c.hostport) == 200)
        more = at(d, "INVITE", "i1")
        r.check(f"{name} the branch is there, through the branch route, changes kept", more and more.ruri == f"sip:added@{d.hostport}" and
                more.get("X-Mine") == "added" and more.get("X-All") == "1" and more.get("Record-Route") == one.get("Record-Route"), more and more.raw)
        again = at(c, "INVITE", "i1")
        r.check(f"{name} more than one at a time", again and again.ruri == f"sip:added@{c.hostport}")
        r.check(f"{name} those that it has are left out", add("i1", d.hostport) == 200 and at(d, "INVITE", "i1", 0.4) is None)
        b.reply(one, 404, "Not Found", tag="b")
        c.reply(again, 404, "Not Found", tag="c")
        r.check(f"{name} the others have failed, this one counts", final("i1", 0.4) is None)
        d.reply(more, 200, "OK", tag="d")
        got = final("i1")
        r.check(f"{name} its answer goes through the reply route", got and got.status == 200 and got.get("X-Reply") == "2", got and got.raw)
        r.check(f"{name} an answered one takes none", add("i1", b.hostport) == 404)
        r.check(f"{name} nor does one that is not there", add("nobody", b.hostport, ids="1:2") == 404)

        # all fail: one failure route, for all of them
        send("INVITE", "i2", headers=[f"X-First: {b.hostport}"])
        one = at(b, "INVITE", "i2")
        r.check(f"{name} nothing to add", add("i2") == 404)
        add("i2", d.hostport)
        more = at(d, "INVITE", "i2")
        b.reply(one, 486, "Busy", tag="b")
        r.check(f"{name} waits for the added branch", final("i2", 0.4) is None)
        d.reply(more, 404, "Not Found", tag="d")
        got = final("i2")
        r.check(f"{name} then the failure route", got and got.status == 480 and got.get("X-Failed") == "404 <null>", got and got.raw)

        # a target that does not exist changes nothing
        send("INVITE", "i3", headers=[f"X-First: {b.hostport}"])
        one = at(b, "INVITE", "i3")
        add("i3", "nowhere.invalid")
        b.reply(one, 200, "OK", tag="b")
        got = final("i3")
        r.check(f"{name} what cannot be reached is told and changes nothing", got and got.status == 200 and sip.wait_until(lambda: "nothing could be added" in server.log_text()), got and got.first)
        for ua in (a, b, c, d):
            ua.close()
