# SPDX-License-Identifier: BSD-2-Clause
"""xavp_contact: whose attributes $xavp(ul[n]=>...) has, from lookup() to the last contact that is tried. The lines are Kamailio's."""
import sip

WANT = """lookup ru=best 0=B 1=M1 2=OWN 3=L ct= ct1=
load ru=best 0=<null> 1=<null> 2=<null> 3=<null> ct=best ct1=mid2
next ru=best 0=B 1=<null> 2=<null> 3=<null> ct=mid2 ct1=mid1
branch0 ru=best 0=B 1=<null> 2=<null> 3=<null> ct=mid2 ct1=mid1
failure ru=best 0=B 1=<null> 2=<null> 3=<null> ct=mid2 ct1=mid1
fnext ru=mid2 0=OWN 1=M1 2=B 3=<null> ct=last ct1=
branch1 ru=mid2 0=OWN 1=M1 2=B 3=<null> ct=last ct1=
branch2 ru=mid1 0=OWN 1=M1 2=B 3=<null> ct=last ct1=
failure ru=best 0=OWN 1=M1 2=B 3=<null> ct=last ct1=
"""
THEN = {"<null>": "0=L 1=M1 2=B 3=<null>", "own": "0=L 1=own 2=M1 3=B"}


def shown(server):
    return [line.split("SHOW ")[1].strip() for line in server.log_text().split("\n") if "SHOW" in line]


def run(r, ctx):
    name = "tm/16-contact-attributes"
    with ctx.server("server.cfg") as server:
        a = sip.Ua(server.host, server.port, user="alice")
        uas = {u: sip.Ua(server.host, server.port, user=u) for u in ("best", "mid1", "mid2", "last")}
        for u, q, mark in (("mid1", 0.5, "M1"), ("last", 0.1, "L"), ("best", 0.9, "B"), ("mid2", 0.5, None)):
            uas[u].send(uas[u].request("REGISTER", "sip:test.ringfort", "<sip:bob@test.ringfort>", callid=f"reg-{u}", contact=False,
                                       headers=[f"Contact: <{uas[u].contact}>;q={q};expires=600", *([f"X-Mark: {mark}"] if mark else [])]))
            r.check(f"{name} {u} registers", uas[u].expect(200))
        before = 0
        for own, then in THEN.items():
            a.send(a.request("MESSAGE", "sip:bob@test.ringfort", "<sip:bob@test.ringfort>", callid=own, headers=["X-Own: 1"] if own == "own" else []))
            for u in ("best", "mid1", "mid2", "last"):
                m = uas[u].expect("MESSAGE", 3)
                if r.check(f"{name} own={own}: {u} is tried", m):
                    uas[u].reply(m, 486, "Busy", tag=u)
            a.expect(lambda m: m.status is not None and m.status >= 200, 3)
            want = WANT.replace("OWN", own).split("\n")[:-1] + [f"{at} {then} ct= ct1=" for at in ("fnext ru=last", "branch3 ru=last", "failure ru=best")]
            sip.wait_until(lambda: len(shown(server)) >= before + len(want), 5)  # the log has a process of its own
            lines = shown(server)[before:]
            before += len(lines)
            for w, got in zip(want, lines + [""] * 20):
                r.check(f"{name} own={own}: {w.split()[0]}", got == w, f"{got!r}, {w!r} expected")
        for ua in [a, *uas.values()]:
            ua.close()
