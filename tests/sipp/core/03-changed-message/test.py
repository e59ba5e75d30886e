# SPDX-License-Identifier: BSD-2-Clause
"""A message read again after changes: what the script sees, what leaves, the Record-Route asked for before; statuses of replies changed."""
import sip


def run(r, ctx):
    name = "core/03-changed-message"
    with ctx.server("server.cfg") as server:
        a = sip.Ua(server.host, server.port, user="alice")
        b = sip.Ua(server.host, server.port, user="bob")

        def call(cid, status, reason):
            a.send(a.request("INVITE", "sip:bob@test.ringfort", "<sip:bob@test.ringfort>", callid=cid, headers=[f"X-To: {b.contact}"]))
            inv = b.expect(lambda m: m.method == "INVITE" and m.get("Call-ID") == cid)
            if inv:
                b.reply(inv, status, reason, tag="b")
            return inv, a.expect(lambda m: m.status and m.status != 100 and m.get("Call-ID") == cid)

        inv, ring = call("c1", 180, "Ringing")
        r.check(f"{name} the script saw its own change", inv and inv.get("X-Seen") == b.contact and not inv.get("X-Added"), inv and inv.raw)
        r.check(f"{name} the Record-Route is there, once", inv and len(inv.all("Record-Route")) == 1 and f"{server.host}:{server.port}" in inv.get("Record-Route"), inv and inv.raw)
        r.check(f"{name} and one Via of ours", inv and len(inv.all("Via")) == 2, inv and inv.raw)
        r.check(f"{name} 180 became 183", ring and ring.first == "SIP/2.0 183 Ringing soon", ring and ring.first)
        r.check(f"{name} what reply_route added is there", ring and ring.get("X-Core") == "yes", ring and ring.raw)
        b.reply(inv, 200, "OK", tag="b")
        ok = a.expect(200)
        r.check(f"{name} a 200 stays one", ok and ok.get("X-Kept") == "yes", ok and ok.raw)

        _, got = call("c2", 404, "Not Found")
        r.check(f"{name} 404 became 604 and kept its reason", got and got.first == "SIP/2.0 604 Not Found", got and got.first)
        _, got = call("c3", 480, "Away")
        r.check(f"{name} changed in reply_route", got and got.first == "SIP/2.0 486 Busy Here", got and got.first)
        a.close()
        b.close()
