# SPDX-License-Identifier: BSD-2-Clause
"""The Contact of a 302: all branches with their q, and what rich_redirect adds to stateless ones. Kamailio 5.6.3 gives the same."""
import sip

A, B, C = "<sip:a@192.0.2.1;x=1{}>;q=0.7", "<sip:b@192.0.2.2>", "<sip:c@192.0.2.3{}>;q=0.25"
AP, CP = "?Route=%3csip:p1.example%3blr%3e%2c%20%3csip:p2.example%3blr%3e", "?Route=%3csip:p3.example%3blr%3e"
ROWS = [
    (0, "u", f"{A.format('')}, {B}"), (0, "v", C.format("")),
    (1, "u", f"{A.format('')};flags=4, {B};flags=0"), (1, "v", f"{C.format('')};flags=0"),
    (2, "u", f"{A.format(AP)}, {B}"), (2, "v", C.format(CP)),
    (3, "u", f"{A.format(AP)};flags=4, {B};flags=0"),
]


def run(r, ctx):
    name = "core/07-redirect"
    for rich in range(4):
        with ctx.server("server.cfg", defines=[f"RICH={rich}"]) as server:
            ua = sip.Ua(server.host, server.port, user="u")
            ua.register("u", contact="<sip:a@192.0.2.1;x=1>;q=0.7", headers=["Path: <sip:p1.example;lr>, <sip:p2.example;lr>", "X-Flag: 1"])
            ua.register("u", contact=B)
            ua.register("v", contact="<sip:c@192.0.2.3>;q=0.25", headers=["Path: <sip:p3.example;lr>"])

            def ask(user, fields=()):
                ua.send(ua.request("INVITE", f"sip:{user}@test.ringfort", f"<sip:{user}@test.ringfort>", headers=list(fields)))
                got = ua.expect(302)
                return got and ", ".join(got.all("Contact"))

            for at, user, want in ROWS:
                if at == rich:
                    got = ask(user)
                    r.check(f"{name} rich_redirect {rich}: {user}", got == want, f"{got!r} instead of {want!r}")
            if rich == 1:
                got, want = ask("u", ["X-Set: 1"]), f"{A.format('')};flags=12, {B};flags=0"
                r.check(f"{name} flags of the script stay with the first", got == want, f"{got!r} instead of {want!r}")
            got = ask("u", ["X-Tm: 1"])
            r.check(f"{name} rich_redirect {rich}: a stateful one is plain", got == ROWS[0][2], got)
            ua.close()
    if "kamailio" not in ctx.program:
        try:
            ctx.server("server.cfg", defines=["RICH=4"]).stop()
            r.check(f"{name} a bit too many is refused", False)
        except RuntimeError as e:
            r.check(f"{name} a bit too many is refused", "rich_redirect" in str(e), str(e))
