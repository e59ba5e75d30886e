# SPDX-License-Identifier: BSD-2-Clause
"""RFC 5626 at the edge: a request of a client with `ob` is recorded with a flow token; what comes back with the token goes down the flow, whatever its
Request-URI says; a changed token, and a flow that is gone, are refused."""
import re

import sip


def run(r, ctx):
    name = "rr/02-flows"
    if "kamailio" in ctx.program:
        r.skip(name, "Debian has its module outbound in a package of its own")
        return
    with ctx.server("server.cfg") as server:
        far = sip.Ua(server.host, server.port, user="far")
        nowhere = "sip:c@192.0.2.1:9"
        for proto in ("udp", "tcp"):
            tag = f"{name} {proto}"
            ua = sip.Ua(server.host, server.port, proto, user="near")

            def up(fields=(), contact=f"<{nowhere};ob>"):
                ua.send(ua.request("MESSAGE", "sip:far@192.0.2.2", "<sip:far@192.0.2.2>", headers=[f"X-To: {far.contact}", f"Contact: {contact}", *fields], contact=False))
                got = far.expect("MESSAGE")
                far.reply(got, 200)
                return got and got.all("Record-Route")

            def down(route, to_tag=";tag=x", fields=(), method="MESSAGE", answer=True):
                far.send(far.request(method, nowhere, f"<sip:near@192.0.2.2>{to_tag}", headers=[f"Route: {v}" for v in route] + list(fields)))
                got = ua.expect(method, 3 if answer else 0.3)
                if got:
                    ua.reply(got, 200)
                return got, far.expect(lambda m: m.status is not None and m.status >= 200)

            token = lambda values: [re.match(r"<sip:([0-9a-f]{54})@", v) for v in values or []]
            routes = up()
            r.check(f"{tag}: Contact with ob is recorded with a token", routes and all(token(routes)), routes)
            r.check(f"{tag}: without ob it is not", not any(token(up(contact=f"<{nowhere}>"))))
            r.check(f"{tag}: but the flag forces it", all(token(up(["X-Flag: force"], f"<{nowhere}>"))))
            r.check(f"{tag}: and another forbids it", not any(token(up(["X-Flag: no"]))))
            r.check(f"{tag}: who comes through a proxy is no client of ours", not any(token(up(["Via: SIP/2.0/UDP 192.0.2.5;branch=z9hG4bKp"]))))
            got, reply = down(routes)
            r.check(f"{tag}: in the dialog it goes down the flow", got and got.get("X-Rc") == "2" and not got.all("Route") and reply and reply.status == 200, (got and got.raw, reply and reply.first))
            got, reply = down(routes[:1], to_tag="")
            r.check(f"{tag}: so does a first request with a Route from a Path", got and got.get("X-Rc") == "2", (got and got.raw, reply and reply.first))
            r.check(f"{tag}: and is recorded with the same token", got and token(routes)[0] and all(m and m.group(1) == token(routes)[0].group(1) for m in token(got.all("Record-Route"))), got and got.raw)
            got, reply = down(routes[:1], to_tag="", fields=["X-First: record"])
            r.check(f"{tag}: also when the script records first", got and all(token(got.all("Record-Route"))), got and got.raw)
            bad = [re.sub(r"sip:(.)", lambda m: "sip:" + ("0" if m.group(1) != "0" else "1"), v, count=1) for v in routes]
            got, reply = down(bad, answer=False)
            r.check(f"{tag}: a changed token is -2", not got and reply and reply.status == 403 and reply.get("X-Rc") == "-2", reply and reply.raw)
            got, reply = down([v.replace(token(routes)[0].group(1), "bob") for v in routes], fields=["X-Mode: 2"], answer=False)
            r.check(f"{tag}: a user name is no token", not got)
            ua.send(ua.request("MESSAGE", far.contact, "<sip:far@192.0.2.2>;tag=y", headers=[f"Route: {v}" for v in reversed(routes)]))
            got = far.expect("MESSAGE")
            r.check(f"{tag}: from the client the same Route leads away", got and got.get("X-Rc") == "1", got and got.raw)
            if got:
                far.reply(got, 200)
            ua.close()
            if proto == "tcp":
                gone = lambda: down(routes, answer=False)[1]
                r.check(f"{tag}: a flow that is gone is not opened anew", sip.wait_until(lambda: getattr(gone(), "status", 0) == 430, 5), "no 430")
        with ctx.server("server.cfg") as other:
            ua = sip.Ua(other.host, other.port, user="x")
            ua.send(ua.request("MESSAGE", nowhere, "<sip:x@y>;tag=1", headers=["Route: " + routes[0].replace(str(server.port), str(other.port))]))
            got = ua.expect(lambda m: m.status is not None)
            r.check(f"{name} another server's token is -2", got and got.get("X-Rc") == "-2", got and got.raw)
            ua.close()
        far.close()
