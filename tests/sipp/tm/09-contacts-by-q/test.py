# SPDX-License-Identifier: BSD-2-Clause
"""t_load_contacts and t_next_contacts: one q after the other, equal ones together; a single contact needs neither."""
import sip


def run(r, ctx):
    name = "tm/09-contacts-by-q"
    with ctx.server("server.cfg") as server:
        a = sip.Ua(server.host, server.port, user="alice")
        uas = {u: sip.Ua(server.host, server.port, user=u) for u in ("best", "mid1", "mid2", "last")}
        for u, q in (("mid1", 0.5), ("last", 0.1), ("best", 0.9), ("mid2", 0.5)):
            got = uas[u].register("bob", contact=f"<{uas[u].contact}>;q={q}", callid=f"reg-{u}")
            r.check(f"{name} {u} registers", got and got.status == 200)

        def at(u, seconds=5):
            return uas[u].expect("MESSAGE", seconds)

        a.send(a.request("MESSAGE", "sip:bob@test.ringfort", "<sip:bob@test.ringfort>", callid="q1"))
        m = at("best")
        r.check(f"{name} the best one first", m and m.ruri == uas["best"].contact, m and m.first)
        r.check(f"{name} and alone", at("mid1", 0.2) is None and at("last", 0.1) is None)
        uas["best"].reply(m, 486, "Busy", tag="1")
        m1, m2 = at("mid1"), at("mid2")
        r.check(f"{name} equal ones together", m1 and m2)
        r.check(f"{name} the last one waits", at("last", 0.2) is None)
        uas["mid1"].reply(m1, 486, "Busy", tag="2")
        uas["mid2"].reply(m2, 404, "Not Found", tag="3")
        m = at("last")
        if r.check(f"{name} then it gets its turn", m):
            uas["last"].reply(m, 480, "Not now", tag="4")
        got = a.expect(lambda m: m.status is not None and m.status >= 200)
        r.check(f"{name} nobody left: the last leg's answer", got and got.status == 480, got and got.first)
        uas["best"].register("carol", callid="reg-carol")
        a.send(a.request("MESSAGE", "sip:carol@test.ringfort", "<sip:carol@test.ringfort>", callid="q2"))
        m = at("best")
        if r.check(f"{name} one contact", m):
            uas["best"].reply(m, 486, "Busy", tag="1")
        got = a.expect(lambda m: m.status is not None and m.status >= 200)
        r.check(f"{name} its answer", got and got.status == 486, got and got.first)
        for ua in [a, *uas.values()]:
            ua.close()
