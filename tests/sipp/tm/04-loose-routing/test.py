# SPDX-License-Identifier: BSD-2-Clause
"""Record-Route and loose routing: what is recorded, double records between transports, the route taken off, what follows it kept."""
import sip


def run(r, ctx):
    name = "tm/04-loose-routing"
    with ctx.server() as server:
        a = sip.Ua(server.host, server.port, user="alice")
        b = sip.Ua(server.host, server.port, user="bob")
        c = sip.Ua(server.host, server.port, "tcp", user="carol")
        b.register("bob")
        c.register("carol")
        at = f"{server.host}:{server.port}"

        a.send(a.request("INVITE", "sip:bob@test.ringfort", "<sip:bob@test.ringfort>", callid="rr-1"))
        inv = b.expect("INVITE")
        rr = inv.all("Record-Route")
        r.check(f"{name} one record between equal sockets", len(rr) == 1 and rr[0].startswith(f"<sip:{at};lr") and ";ftag=falice" in rr[0], rr)
        r.check(f"{name} the request goes to the contact", inv.ruri == b.contact, inv.first)
        r.check(f"{name} Max-Forwards went down", inv.get("Max-Forwards") == "69", inv.get("Max-Forwards"))
        r.check(f"{name} two Vias, ours on top", len(inv.all("Via")) == 2 and at in inv.all("Via")[0] and "received=127.0.0.1" in inv.all("Via")[1], inv.all("Via"))
        r.check(f"{name} branch_route edited this branch", inv.get("X-Branch") is not None, inv.raw)
        b.reply(inv, 180, "Ringing", tag="b")
        ring = a.expect(180)
        r.check(f"{name} onreply_route edited the 180", ring and ring.get("X-Ringing") == "yes", ring and ring.raw)
        b.reply(inv, 200, "OK", tag="b")
        ok = a.expect(200)
        r.check(f"{name} the reply lost our Via", ok and len(ok.all("Via")) == 1, ok and ok.raw)

        # our Route comes off, another one stays and leads on
        a.send(a.request("INFO", b.contact, "<sip:bob@test.ringfort>;tag=b", callid="rr-1", cseq=2,
                         headers=[f"Route: <sip:{at};lr;ftag=falice>, <sip:{b.hostport};lr;keep=1>"]))
        info = b.expect("INFO")
        r.check(f"{name} own Route removed, the next kept", info and info.all("Route") == [f"<sip:{b.hostport};lr;keep=1>"], info and info.raw)
        if info:
            b.reply(info, 200, "OK")
            r.check(f"{name} and the answer comes back", a.expect(lambda m: m.status == 200 and m.cseq_method == "INFO"))

        # a strict router sent it here, and the next one is strict, too: it wants its own URI in the request line
        a.send(a.request("INFO", f"sip:{at}", "<sip:bob@test.ringfort>;tag=b", callid="rr-1s", cseq=2,
                         headers=[f"Route: <sip:strict@{b.hostport}>, <sip:carol@192.0.2.1;lr>"]))
        info = b.expect("INFO")
        r.check(f"{name} from strict to strict", info and info.ruri == f"sip:strict@{b.hostport}" and info.all("Route") == ["<sip:carol@192.0.2.1;lr>"], info and info.raw)
        if info:
            b.reply(info, 200, "OK")
            a.expect(lambda m: m.status == 200 and m.cseq_method == "INFO")

        # between UDP and TCP two records, both taken off inside the dialog
        a.send(a.request("INVITE", "sip:carol@test.ringfort", "<sip:carol@test.ringfort>", callid="rr-2"))
        inv = c.expect("INVITE")
        rr = [v.strip() for line in inv.all("Record-Route") for v in line.split(",")]
        r.check(f"{name} two records between transports", len(rr) == 2 and all(";r2=on" in v for v in rr) and "transport=tcp" in rr[0] and "transport=tcp" not in rr[1], rr)
        c.reply(inv, 200, "OK", tag="c")
        ok = a.expect(lambda m: m.status == 200 and m.get("Call-ID") == "rr-2")
        routes = [f"Route: {v}" for v in reversed(rr)]
        a.send(a.request("BYE", c.contact, "<sip:carol@test.ringfort>;tag=c", callid="rr-2", cseq=2, headers=routes))
        bye = c.expect("BYE")
        r.check(f"{name} both come off", ok and bye and not bye.all("Route"), bye and bye.raw)
        if bye:
            c.reply(bye, 200, "OK")
            r.check(f"{name} 200 to the BYE", a.expect(lambda m: m.status == 200 and m.cseq_method == "BYE"))

        # no Route at all inside a dialog: the script says 404
        a.send(a.request("INFO", f"sip:bob@{at}", "<sip:bob@test.ringfort>;tag=b", callid="rr-3"))
        r.check(f"{name} in dialog without Route", a.expect(404))

        # too many hops
        msg = a.request("MESSAGE", "sip:bob@test.ringfort", "<sip:bob@test.ringfort>", callid="rr-4").replace(b"Max-Forwards: 70", b"Max-Forwards: 0")
        a.send(msg)
        r.check(f"{name} Max-Forwards 0 is 483", a.expect(483))
        for ua in (a, b, c):
            ua.close()
