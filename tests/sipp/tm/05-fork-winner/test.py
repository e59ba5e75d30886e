# SPDX-License-Identifier: BSD-2-Clause
"""Which reply wins when all branches fail, and what happens to the others when one answers."""
import sip

# replies of two branches, and what the caller must get
WINNERS = [(486, 404, 404), (603, 404, 603), (404, 401, 401), (500, 480, 480), (302, 404, 302), (503, 503, 500)]


def run(r, ctx):
    name = "tm/05-fork-winner"
    with ctx.server() as server:
        a = sip.Ua(server.host, server.port, user="alice")
        b1 = sip.Ua(server.host, server.port, user="bob")
        b2 = sip.Ua(server.host, server.port, user="bob")
        b1.register("bob", callid="b1")
        b2.register("bob", callid="b2")
        for i, (one, two, want) in enumerate(WINNERS):
            cid = f"win-{i}"
            a.send(a.request("INVITE", "sip:bob@test.ringfort", "<sip:bob@test.ringfort>", callid=cid))
            i1 = b1.expect(lambda m: m.method == "INVITE" and m.get("Call-ID") == cid)
            i2 = b2.expect(lambda m: m.method == "INVITE" and m.get("Call-ID") == cid)
            if not r.check(f"{name} {one}/{two} both branches are sent", i1 and i2):
                continue
            b1.reply(i1, one, "x", tag="t1", headers=['WWW-Authenticate: Digest realm="x", nonce="1"'] if one == 401 else [])
            b2.reply(i2, two, "x", tag="t2", headers=['WWW-Authenticate: Digest realm="x", nonce="1"'] if two == 401 else [])
            got = a.expect(lambda m: m.status is not None and m.status >= 200 and m.get("Call-ID") == cid)
            r.check(f"{name} {one}/{two} gives {want}", got and got.status == want, got and got.first)
            if got:
                via = got.get("Via").split("branch=")[1].split(";")[0]
                a.send(a.request("ACK", "sip:bob@test.ringfort", got.get("To"), callid=cid, branch=via, contact=False))
        # one answers: the other is cancelled, and its 487 goes nowhere
        a.send(a.request("INVITE", "sip:bob@test.ringfort", "<sip:bob@test.ringfort>", callid="win-x"))
        i1 = b1.expect(lambda m: m.method == "INVITE" and m.get("Call-ID") == "win-x")
        i2 = b2.expect(lambda m: m.method == "INVITE" and m.get("Call-ID") == "win-x")
        b1.reply(i1, 180, "Ringing", tag="t1")
        b2.reply(i2, 180, "Ringing", tag="t2")
        b1.reply(i1, 200, "OK", tag="t1")
        r.check(f"{name} the 200 comes through", a.expect(lambda m: m.status == 200 and m.get("Call-ID") == "win-x"))
        can = b2.expect("CANCEL")
        if r.check(f"{name} the other is cancelled", can):
            b2.reply(can, 200, "OK", tag="t2")
            b2.reply(i2, 487, "Request Terminated", tag="t2")
            r.check(f"{name} its 487 is acknowledged", b2.expect(lambda m: m.method == "ACK" and m.get("Call-ID") == "win-x"))
        r.check(f"{name} and not relayed", a.expect(487, 0.3) is None)
        for ua in (a, b1, b2):
            ua.close()
