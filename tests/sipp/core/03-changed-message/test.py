# SPDX-License-Identifier: BSD-2-Clause
"""A message read again after changes: what the script sees, what leaves, the Record-Route asked for before; statuses of replies changed."""
import sip


NAME = "core/03-changed-message"


def late(r, ctx):
    """msg_apply_changes_mode: the changed message is what later routes begin with; repetitions, ACK and CANCEL go by the one that came."""
    gone = "X-Gone: " + "g" * 300  # so long that edits made on the changed message would land elsewhere in the received one
    with ctx.server("late.cfg", defines=["MODE=1"]) as server:
        a, b, c = (sip.Ua(server.host, server.port, user=u) for u in ("alice", "bob", "carol"))

        def invite(cid, *headers):
            text = a.request("INVITE", "sip:x@test.ringfort", "<sip:x@test.ringfort>", callid=cid, body="v=0\r\n", headers=[gone, f"X-To: {b.contact}", f"X-Then: {c.contact}", *headers])
            a.send(text)
            return text, b.expect(lambda m: m.method == "INVITE" and m.get("Call-ID") == cid)

        def about(text, method):
            head = text.split(b"\r\n\r\n")[0].replace(b"INVITE", method.encode())
            return head.replace(b"Content-Type: application/sdp\r\n", b"").replace(b"Content-Length: 5", b"Content-Length: 0") + b"\r\n\r\n"

        def is_changed(m):
            return m and [m.all(h) for h in ("X-First", "X-Seen", "X-Last", "X-Gone")] == [["1"], [b.contact], [b.contact], []] and len(m.all("Record-Route")) == 1 and m.body == b"v=0\r\n"

        text, m = invite("l1")
        r.check(f"{NAME} late: what leaves is changed, once", is_changed(m) and m.ruri == b.contact and len(m.all("Via")) == 2, m and m.raw)
        b.reply(m, 100, "Trying")
        a.send(text)
        r.check(f"{NAME} late: a repetition is one", b.expect("INVITE", 0.7) is None and server.log_text().count("@@run l1@@") == 1)
        b.reply(m, 486, "Busy", tag="b")
        m = c.expect("INVITE")
        r.check(f"{NAME} late: the failure route's leg is of the changed message", is_changed(m) and m.ruri == c.contact, m and m.raw)
        r.check(f"{NAME} late: and its route saw it", m and m.get("X-Failed") == f"1 {b.contact} <null>", m and m.raw)
        c.reply(m, 180, "Ringing", tag="c")
        a.expect(180)
        a.send(about(text, "CANCEL"))
        r.check(f"{NAME} late: CANCEL finds it", a.expect(lambda m: m.status == 200 and m.cseq_method == "CANCEL"))
        r.check(f"{NAME} late: and reaches the callee", c.expect("CANCEL"))
        c.reply(m, 487, "Terminated", tag="c")
        got = a.expect(487)
        r.check(f"{NAME} late: whose 487 comes back", got)
        a.send(about(text, "ACK"))
        r.check(f"{NAME} late: the ACK ends it", a.expect(487, 1.2) is None)

        _, m = invite("l2", "X-How: answer")
        b.reply(m, 486, "Busy", tag="b")
        got = a.expect(lambda m: m.status and m.status > 100 and m.get("Call-ID") == "l2")
        r.check(f"{NAME} late: an answer of the failure route", got and got.status == 480 and got.get("X-Answer") == "1" and got.get("From").endswith("tag=falice"), got and got.raw)
        for ua in (a, b, c):
            ua.close()
    with ctx.server("late.cfg", defines=["MODE=0"]) as server:
        a = sip.Ua(server.host, server.port, user="alice")
        a.send(a.request("INVITE", "sip:x@test.ringfort", "<sip:x@test.ringfort>", headers=[f"X-To: {a.contact}"]))
        got = a.expect(lambda m: m.status and m.status > 100)
        r.check(f"{NAME} mode 0: not once the transaction is there", got and got.first == "SIP/2.0 488 Not Applied", got and got.raw)
        a.close()


def run(r, ctx):
    name = NAME
    if "kamailio" not in ctx.program:  # 5.6 does not have the parameter
        late(r, ctx)
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
