# SPDX-License-Identifier: BSD-2-Clause
"""Retransmissions over UDP: of requests are absorbed and answered from the transaction; the server repeats its own; 200s pass end to end."""
import time

import sip


def run(r, ctx):
    with ctx.server() as server:
        name = "tm/02-retransmissions"
        a = sip.Ua(server.host, server.port, user="alice")
        b = sip.Ua(server.host, server.port, user="bob")
        b.register("bob")

        # the callee is silent: the server repeats the INVITE (T1 = 500 ms); the caller's repetition adds none
        msg = a.request("INVITE", "sip:bob@test.ringfort", "<sip:bob@test.ringfort>", callid="ret-1")
        a.send(msg)
        r.check(f"{name} 100 comes at once", a.expect(100, 1))
        inv = b.expect("INVITE")
        a.send(msg)
        a.send(msg)
        r.check(f"{name} a repeated INVITE is answered by 100", a.expect(100, 1))
        r.check(f"{name} and not forwarded", b.expect("INVITE", 0.25) is None)
        again = b.expect("INVITE", 1.5)
        r.check(f"{name} the server repeats its INVITE", again and again.raw == inv.raw)
        b.reply(inv, 180, "Ringing", tag="b1")
        a.expect(180)
        while b.expect("INVITE", 0.1):
            pass
        r.check(f"{name} a 1xx stops the repetitions", b.expect("INVITE", 1.2) is None)

        # a final error is acknowledged by the server each time it comes; the caller's ACK ends the server's repetitions
        b.reply(inv, 486, "Busy Here", tag="b1")
        r.check(f"{name} 486 is acknowledged hop by hop", b.expect("ACK", 1))
        b.reply(inv, 486, "Busy Here", tag="b1")
        r.check(f"{name} a repeated 486 is acknowledged again", b.expect("ACK", 1))
        r.check(f"{name} 486 reaches the caller", a.expect(486, 1))
        rep = a.expect(486, 1.5)
        r.check(f"{name} the server repeats the 486 until the ACK", rep)
        via = msg.decode().split("branch=")[1].split(";")[0]
        a.send(a.request("ACK", "sip:bob@test.ringfort", rep.get("To") if rep else "<sip:bob@test.ringfort>", callid="ret-1", branch=via, contact=False))
        time.sleep(0.05)
        while a.expect(486, 0.05):
            pass
        r.check(f"{name} the ACK stops it", a.expect(486, 1.5) is None)

        # 200: repetitions of the callee pass through
        a.send(a.request("INVITE", "sip:bob@test.ringfort", "<sip:bob@test.ringfort>", callid="ret-2"))
        inv = b.expect(lambda m: m.method == "INVITE" and m.get("Call-ID") == "ret-2")
        b.reply(inv, 200, "OK", tag="b2")
        first = a.expect(200, 1)
        b.reply(inv, 200, "OK", tag="b2")
        r.check(f"{name} a repeated 200 passes through", first and a.expect(200, 1))

        # a non-INVITE: repeated to the callee until answered; the answer is kept for the caller's repetitions
        msg = a.request("MESSAGE", "sip:bob@test.ringfort", "<sip:bob@test.ringfort>", callid="ret-3", body="hi", ctype="text/plain")
        a.send(msg)
        m1 = b.expect("MESSAGE")
        m2 = b.expect("MESSAGE", 1.5)
        r.check(f"{name} the server repeats a MESSAGE", m1 and m2 and m1.raw == m2.raw)
        b.reply(m1, 200, "OK", tag="b3")
        r.check(f"{name} 200 to it", a.expect(200, 1))
        a.send(msg)
        r.check(f"{name} a late repetition is answered from memory", a.expect(200, 1))
        while b.expect("MESSAGE", 0.05):
            pass
        r.check(f"{name} and not forwarded", b.expect("MESSAGE", 0.5) is None)
        a.close()
        b.close()
