# SPDX-License-Identifier: BSD-2-Clause
"""A callee that says 180 and 200 in one breath: whichever workers take them, the caller never sees the 180 behind the 200."""
import sip

CALLS = 1000


def run(r, ctx):
    name = "tm/10-order"
    with ctx.server("server.cfg") as server:
        a = sip.Ua(server.host, server.port, user="alice")
        b = sip.Ua(server.host, server.port, user="bob")

        def pick_up(m):
            if m.method == "INVITE":
                b.reply(m, 180, "Ringing", tag="t")
                b.reply(m, 200, "OK", tag="t")
            return True

        seen = {}

        def hear(m):
            if m.status and m.status > 100:
                seen.setdefault(m.get("Call-ID"), []).append(m.status)
            return True

        a.on, b.on = hear, pick_up
        for first in range(0, CALLS, 50):
            calls = [f"o{i}" for i in range(first, first + 50)]
            for cid in calls:
                a.send(a.request("INVITE", f"sip:bob@{b.hostport}", "<sip:bob@test.ringfort>", callid=cid))
            if not sip.wait_until(lambda: all(200 in seen.get(c, ()) for c in calls), 5):
                break
        r.check(f"{name} all are answered", sum(200 in v for v in seen.values()) == CALLS, f"{len(seen)} of {CALLS}")
        # a 200 that overtook its 180 inside the network's queues is passed on alone
        late = {c: v for c, v in seen.items() if 180 in v[v.index(200) if 200 in v else len(v):]}
        r.check(f"{name} no provisional behind the final", not late, late)
        r.check(f"{name} provisionals were passed on", sum(180 in v for v in seen.values()) > CALLS // 2, seen)
        a.close()
        b.close()
