# SPDX-License-Identifier: BSD-2-Clause
"""A call that the callee ends: the recorded route leads back to the caller, over UDP, TCP and mixed."""
import sip


def run(r, ctx):
    with ctx.server() as server:
        for caller, callee in (("udp", "udp"), ("tcp", "tcp"), ("udp", "tcp"), ("tcp", "udp")):
            name = f"call/02-callee-hangs-up {caller}-{callee}"
            a = sip.Ua(server.host, server.port, caller, user="alice")
            b = sip.Ua(server.host, server.port, callee, user=f"bob{caller}{callee}")
            b.register(b.user)
            a.send(a.request("INVITE", f"sip:{b.user}@test.ringfort", f"<sip:{b.user}@test.ringfort>", callid=name.replace(" ", "-")))
            inv = b.expect("INVITE")
            if not r.check(f"{name} INVITE arrives", inv):
                continue
            b.reply(inv, 180, "Ringing", tag="b1")
            b.reply(inv, 200, "OK", tag="b1")
            ok = a.expect(200)
            if not r.check(f"{name} 200 arrives", ok):
                continue
            target = ok.get("Contact").strip("<>")
            routes = [f"Route: {v}" for line in reversed(ok.all("Record-Route")) for v in reversed(line.split(","))]
            a.send(a.request("ACK", target, ok.get("To"), callid=ok.get("Call-ID"), headers=routes))
            r.check(f"{name} ACK arrives", b.expect("ACK"))
            back = [f"Route: {v.strip()}" for line in inv.all("Record-Route") for v in line.split(",")]
            me = ok.get("To")
            b.send("\r\n".join([f"BYE {inv.get('Contact').strip('<>')} SIP/2.0", f"Via: SIP/2.0/{callee.upper()} {b.hostport};branch={b.branch()};rport",
                                "Max-Forwards: 70", f"From: {me}", f"To: {ok.get('From')}", f"Call-ID: {ok.get('Call-ID')}", "CSeq: 7 BYE", *back,
                                "Content-Length: 0", "", ""]))
            bye = a.expect("BYE")
            if r.check(f"{name} BYE arrives", bye):
                a.reply(bye, 200, "OK")
                r.check(f"{name} 200 to BYE arrives", b.expect(200))
            a.close()
            b.close()
