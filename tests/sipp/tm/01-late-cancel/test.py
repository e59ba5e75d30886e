# SPDX-License-Identifier: BSD-2-Clause
"""CANCEL against 200: one that comes too late changes nothing; one without INVITE gets 481 or is forwarded; one before any 1xx waits for it."""
import sip


def run(r, ctx):
    with ctx.server() as server:
        name = "tm/01-late-cancel"
        a = sip.Ua(server.host, server.port, user="alice")
        b = sip.Ua(server.host, server.port, user="bob")
        b.register("bob")

        # the 200 has gone through: CANCEL is answered, nothing is cancelled
        branch = a.branch()
        a.send(a.request("INVITE", "sip:bob@test.ringfort", "<sip:bob@test.ringfort>", callid="late-1", branch=branch))
        inv = b.expect("INVITE")
        b.reply(inv, 200, "OK", tag="b1")
        ok = a.expect(200)
        a.send(a.request("CANCEL", "sip:bob@test.ringfort", "<sip:bob@test.ringfort>", callid="late-1", branch=branch, contact=False))
        got = a.expect(lambda m: m.status is not None and m.cseq_method == "CANCEL")
        r.check(f"{name} after the 200: CANCEL is answered 200", ok and got and got.status == 200, got and got.first)
        r.check(f"{name} after the 200: the callee sees no CANCEL", b.expect("CANCEL", 0.7) is None)
        r.check(f"{name} after the 200: the caller sees no 487", a.expect(487, 0.2) is None)

        # CANCEL before any provisional reply: held until the 1xx, then sent
        branch = a.branch()
        a.send(a.request("INVITE", "sip:bob@test.ringfort", "<sip:bob@test.ringfort>", callid="late-2", branch=branch))
        inv = b.expect(lambda m: m.method == "INVITE" and m.get("Call-ID") == "late-2")
        a.send(a.request("CANCEL", "sip:bob@test.ringfort", "<sip:bob@test.ringfort>", callid="late-2", branch=branch, contact=False))
        got = a.expect(lambda m: m.status is not None and m.cseq_method == "CANCEL")
        r.check(f"{name} before a 1xx: CANCEL is answered 200", got and got.status == 200, got and got.first)
        r.check(f"{name} before a 1xx: no CANCEL goes out yet", b.expect("CANCEL", 0.3) is None)
        b.reply(inv, 180, "Ringing", tag="b2")
        can = b.expect("CANCEL")
        if r.check(f"{name} before a 1xx: CANCEL follows the 180", can):
            b.reply(can, 200, "OK", tag="b2")
            b.reply(inv, 487, "Request Terminated", tag="b2")
            r.check(f"{name} before a 1xx: 487 for the caller", a.expect(487))
            r.check(f"{name} before a 1xx: ACK hop by hop", b.expect(lambda m: m.method == "ACK" and m.get("Call-ID") == "late-2"))

        # the 200 crosses the CANCEL: the 200 wins at the caller
        branch = a.branch()
        a.send(a.request("INVITE", "sip:bob@test.ringfort", "<sip:bob@test.ringfort>", callid="late-3", branch=branch))
        inv = b.expect(lambda m: m.method == "INVITE" and m.get("Call-ID") == "late-3")
        b.reply(inv, 180, "Ringing", tag="b3")
        a.expect(180)
        a.send(a.request("CANCEL", "sip:bob@test.ringfort", "<sip:bob@test.ringfort>", callid="late-3", branch=branch, contact=False))
        can = b.expect(lambda m: m.method == "CANCEL" and m.get("Call-ID") == "late-3")
        b.reply(inv, 200, "OK", tag="b3")
        if can:
            b.reply(can, 200, "OK", tag="b3")
        r.check(f"{name} crossing: the caller gets the 200 of the INVITE", a.expect(lambda m: m.status == 200 and m.cseq_method == "INVITE"))
        r.check(f"{name} crossing: and no 487", a.expect(487, 0.3) is None)
        a.close()
        b.close()
