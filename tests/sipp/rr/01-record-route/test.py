# SPDX-License-Identifier: BSD-2-Clause
"""The Record-Route that a request carries on, and what loose_route() makes of a Route, for each parameter of rr. Kamailio 5.6.3 gives the same; but
"ours": always two fields (enable_double_rr 2) name their transports, as the reference says."""
import sip

BOB = "sip:bob@192.0.2.1"
# settings, what is sent (X-Do, Request-URI, to whom, X-User), Record-Route values; {at}: our address
PLAIN, IGNORE, NAMES, TWO, ONE = "0 0 0 1", "1 0 1 1", "0 1 1 1", "0 0 0 2", "0 0 0 0"
ROWS = [
    (PLAIN, None, BOB, "p", None, ["<sip:{at};lr;ftag=fu>"]),
    (PLAIN, None, "sips:bob@192.0.2.1", "p", None, ["<sips:{at};lr;ftag=fu>"]),
    (PLAIN, None, BOB, "t", None, ["<sip:{at};transport=tcp;r2=on;lr;ftag=fu>", "<sip:{at};r2=on;lr;ftag=fu>"]),
    (PLAIN, "preset", BOB, "p", None, ["<sip:10.1.1.1:5066;foo=bar;ftag=fu;lr>"]),
    (PLAIN, "preset2", BOB, "p", None, ["<sip:10.1.1.1:5066;ftag=fu;lr>", "<sip:10.2.2.2;ftag=fu;lr>"]),
    (PLAIN, "preset", "sips:bob@192.0.2.1", "p", None, ["<sips:10.1.1.1:5066;foo=bar;ftag=fu;lr>"]),
    (PLAIN, "advertised", BOB, "p", None, ["<sip:gw.example:5099;ftag=fu;lr>"]),
    (PLAIN, "params", BOB, "p", None, ["<sip:{at};lr;ftag=fu;p=q;z=1;y=2>"]),
    (IGNORE, None, "sips:bob@192.0.2.1", "p", None, ["<sip:bob@{at};lr;ftag=fu>"]),
    (IGNORE, None, "tel:+1234", "p", None, ["<sip:+1234@{at};lr;ftag=fu>"]),
    (IGNORE, None, "sip:192.0.2.1", "p", None, ["<sip:{at};lr;ftag=fu>"]),
    (IGNORE, "preset", BOB, "p", None, ["<sip:bob@10.1.1.1:5066;foo=bar;ftag=fu;lr>"]),
    (NAMES, None, BOB, "p", None, ["<sip:bob@{at};sn=front;lr;ftag=fu>"]),
    (NAMES, None, BOB, "t", None, ["<sip:bob@{at};transport=tcp;sn=stream;r2=on;lr;ftag=fu>", "<sip:bob@{at};sn=front;r2=on;lr;ftag=fu>"]),
    (NAMES, None, BOB, "p", "mo", ["<sip:mo@{at};sn=front;lr;ftag=fu>"]),
    (NAMES, "advertised", BOB, "p", None, ["<sip:bob@gw.example:5099;ftag=fu;lr>"]),
    (ONE, "preset2", BOB, "p", None, []),
    (TWO, "advertised", BOB, "p", None, ["<sip:gw.example:5099;transport=udp;r2=on;ftag=fu;lr>"] * 2),
    (TWO, "ours", BOB, "p", None, ["<sip:{at};transport=udp;r2=on;lr;ftag=fu>"] * 2),
]
# settings, Route, To-tag, X-Rc
ROUTES = [
    (PLAIN, "<sip:{at};lr>", True, "1 du=<null> fs=<null>"),
    (PLAIN, "<sip:{at};lr>", False, "-3 du=<null> fs=<null>"),
    (PLAIN, "<sip:{at};lr>,<sip:192.0.2.9;lr>", False, "1 du=sip:192.0.2.9;lr fs=<null>"),
    (PLAIN, "<sip:token@{at};lr>", True, "1 du=<null> fs=<null>"),
    (PLAIN, "<sip:192.0.2.7;lr>", True, "1 du=sip:192.0.2.7;lr fs=<null>"),
    (PLAIN, "<sip:{at};r2=on;lr>,<sip:{at};transport=tcp;r2=on;lr>", True, "1 du=<null> fs=tcp:{at}"),
    (NAMES, "<sip:{at};r2=on;lr;sn=front>,<sip:{at};r2=on;lr;sn=stream>", True, "1 du=<null> fs=tcp:{at}"),
    (NAMES, "<sip:{at};r2=on;lr;sn=stream>,<sip:{at};r2=on;lr;sn=front>", True, "1 du=<null> fs=udp:{at}"),
    (NAMES, "<sip:{at};r2=on;lr;sn=none>,<sip:{at};transport=tcp;r2=on;lr;sn=none>", True, "1 du=<null> fs=tcp:{at}"),
    (ONE, "<sip:{at};r2=on;lr>,<sip:{at};transport=tcp;r2=on;lr>", True, "1 du=sip:{at};transport=tcp;r2=on;lr fs=<null>"),
]


def run(r, ctx):
    name = "rr/01-record-route"
    ours = "kamailio" not in ctx.program
    for settings in (PLAIN, IGNORE, NAMES, TWO, ONE):
        values = settings.split()
        defines = [f"{k}={v}" for k, v in zip(("IGNORE_SIPS", "SOCKNAME", "USERNAME", "DOUBLE"), values)] + (["CUSTOM"] if settings == NAMES else [])
        with ctx.server("server.cfg", defines=defines) as server:
            at = f"127.0.0.1:{server.port}"
            ua = sip.Ua(server.host, server.port, user="u")
            peers = {"p": sip.Ua(server.host, server.port, user="p"), "t": sip.Ua(server.host, server.port, "tcp", user="t")}
            for want_at, do, ruri, to, user, want in ROWS:
                if want_at != settings or (do == "ours" and not ours):
                    continue
                fields = [f"X-To: {peers[to].contact}"] + ([f"X-Do: {do}"] if do else []) + ([f"X-User: {user}"] if user else [])
                ua.send(ua.request("MESSAGE", ruri, "<sip:x@test.ringfort>", headers=fields))
                got = peers[to].expect("MESSAGE")
                want = [w.format(at=at) for w in want]
                r.check(f"{name} {settings}: {do or 'record_route'} {ruri} to {to} {user or ''}", got and got.all("Record-Route") == want, got and (got.all("Record-Route"), want))
                if got:
                    peers[to].reply(got, 200)
            for want_at, route, tag, want in ROUTES:
                if want_at != settings:
                    continue
                ua.send(ua.request("BYE", BOB, "<sip:x@test.ringfort>" + (";tag=2" if tag else ""), headers=[f"Route: {route.format(at=at)}"]))
                got = ua.expect(lambda m: m.first.endswith("Loose"))
                r.check(f"{name} {settings}: Route {route}{' in a dialog' if tag else ''}", got and got.get("X-Rc") == want.format(at=at), got and got.get("X-Rc"))
            for one in (ua, *peers.values()):
                one.close()
