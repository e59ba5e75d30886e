# SPDX-License-Identifier: BSD-2-Clause
"""Event routes of core, tm and sl, branch failure routes, onsend_route: that they run, what they see, what their drop does."""
import re

import sip


def run(r, ctx):
    name = "core/02-event-routes"
    with ctx.server("server.cfg") as server:
        ua = sip.Ua(server.host, server.port)
        b = sip.Ua(server.host, server.port, user="bob")

        def seen(key):
            """Value that an event route left; None when there is none."""
            try:
                return server.rpc("htable.get", "n", key)["item"]["value"]
            except RuntimeError:
                return None

        def check(what, key, want):
            ok = sip.wait_until(lambda: seen(key) == want, 3)
            r.check(f"{name} {what}", ok, seen(key))

        def send(method, user, cid, **kw):
            ua.send(ua.request(method, f"sip:{user}@test.ringfort", "<sip:x@test.ringfort>", callid=cid, **kw))

        check("core:worker-one-init ran", "one", "up")
        send("OPTIONS", "a", "a")
        r.check(f"{name} an answer", ua.expect(200))
        check("core:msg-received sees addresses", "received", f"udp {ua.port} {server.port}")
        send("OPTIONS", "b", "b", headers=["X-Drop-Me: 1"])
        r.check(f"{name} its drop discards", ua.expect(200, 0.4) is None)
        send("OPTIONS", "patchme", "c")
        ua.expect(200)
        check("what it writes is what is parsed", "request", "patched")

        broken = ua.request("OPTIONS", "sip:x@test.ringfort", "<sip:x@test.ringfort>").replace(b"CSeq: 1 OPTIONS", b"CSeq: nonsense")
        ua.send(broken)
        got = ua.expect(400)
        r.check(f"{name} a broken request is answered 400", got)
        check("core:receive-parse-error saw it", "broken", len(broken))
        ua.send(broken.replace(b"Contact:", b"X-Silent: 1\r\nContact:"))
        r.check(f"{name} its drop silences the answer", ua.expect(400, 0.4) is None)

        send("MESSAGE", "local", "d", contact=False)
        r.check(f"{name} a stateful answer", ua.expect(480))
        check("tm:local-response", "tmlocal", "MESSAGE 480")
        check("it runs on the reply, with the attributes of the request", "tmlocalreply", "480 Not now mine")
        check("what it sets of them stays", "tmlocalafter", "seen")
        send("INVITE", "deny", "e", branch="z9hG4bKdeny")
        got = ua.expect(403)
        check("sl:local-response", "sllocal", "INVITE")
        check("it runs on the reply, with the attributes of the request", "sllocalreply", "403 No mine")
        check("what it sets of them stays", "sllocalafter", "seen")
        ua.send(ua.request("ACK", "sip:deny@test.ringfort", got.get("To"), callid="e", branch="z9hG4bKdeny", contact=False))
        check("sl:filtered-ack", "slack", "ACK")

        send("MESSAGE", "relay", "f", headers=[f"X-Port: {b.port}"])
        m = b.expect("MESSAGE")
        r.check(f"{name} relayed", m)
        b.reply(m, 486, "Busy", tag="b")
        r.check(f"{name} its failure comes back", ua.expect(486))
        check("tm:branch-failure", "branchfailure", 486)
        check("and then the failure route", "failure", 486)
        check("onsend_route sees both ends", "onsend", f"127.0.0.1:{b.port} {server.port} udp")
        r.check(f"{name} log_prefix is the outer run's again after it", sip.wait_until(lambda: re.search("<MESSAGE> [^\n]*@@after the send@@", server.log_text()), 3), server.log_text()[-300:])
        send("MESSAGE", "relay", "g", headers=[f"X-Port: {b.port}", "X-Stop: 1"])
        r.check(f"{name} its drop stops a message", b.expect("MESSAGE", 0.4) is None)
        ua.close()
        b.close()
