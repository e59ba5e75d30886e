# SPDX-License-Identifier: BSD-2-Clause
"""handle_lost_tcp: a contact goes with its connection. close_expired_tcp: the connection goes with its contact."""
import sip


def known(server, user):
    try:
        return bool(server.rpc("ul.lookup", "location", user))
    except Exception:  # a fault: no such AoR
        return False


def run(r, ctx):
    name = "usrloc/02-tcp"
    for on in (1, 0):
        with ctx.server("server.cfg", defines=[f"LOST={on}", f"CLOSE={on}"]) as server:
            lost, stays, short, udp = (sip.Ua(server.host, server.port, proto, user=u) for u, proto in
                                       (("lost", "tcp"), ("stays", "tcp"), ("short", "tcp"), ("udp", "udp")))
            for ua, expires in ((lost, 600), (stays, 600), (udp, 600), (short, 1)):
                r.check(f"{name} {on}: {ua.user} registers", ua.register(ua.user, expires=expires))
            lost.close()
            if on:
                r.check(f"{name} the contact of a lost connection goes", sip.wait_until(lambda: not known(server, "lost"), 10))
                r.check(f"{name} the connection of an expired contact is closed", sip.wait_until(lambda: short.closed, 10))
            else:
                r.check(f"{name} off: the expired contact goes", sip.wait_until(lambda: server.rpc("ul.dump", "brief")["Domains"][0]["Domain"]["AoRs"].count({"AoR": "short"}) == 0, 10))
                r.check(f"{name} off: the contact of a lost connection stays", known(server, "lost"))
                r.check(f"{name} off: the connection of an expired contact stays", not short.closed)
            r.check(f"{name} {on}: others stay", known(server, "stays") and known(server, "udp") and not stays.closed)
            for ua in (stays, short, udp):
                ua.close()
