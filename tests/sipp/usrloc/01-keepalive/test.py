# SPDX-License-Identifier: BSD-2-Clause
"""Built-in keepalive: who is asked, what an answer changes, who is removed. An hour's contact that says nothing is gone after ka_timeout."""
import re
import time

import sip


def contact_of(server, user):
    try:
        return server.rpc("ul.lookup", "location", user)["Contacts"][0]["Contact"]
    except Exception:  # a fault: no such AoR
        return None


def answering(ua, status):
    """Answers every keepalive; how many there were is in ua.asked."""
    ua.asked = 0

    def on(m):
        if m.method != "OPTIONS":
            return False
        ua.asked += 1
        ua.last = m
        if status:
            ua.reply(m, status, tag="t")
        return True
    ua.on = on


def run(r, ctx):
    name = "usrloc/01-keepalive"
    with ctx.server("server.cfg", defines=["KA_MODE=1", "KA_TIMEOUT=3"]) as server:
        uas = {}
        for user, proto, status in (("alive", "udp", 200), ("busy", "udp", 486), ("stream", "tcp", 200), ("odd", "udp", 404), ("silent", "udp", None)):
            uas[user] = sip.Ua(server.host, server.port, proto, user=user)
            answering(uas[user], status)
            r.check(f"{name} {user} registers", uas[user].register(user, expires=3600))
        alive = uas["alive"]
        r.check(f"{name} is asked each second", sip.wait_until(lambda: alive.asked >= 3, 10))
        m = alive.last
        r.check(f"{name} the request", m.raw.startswith(f"OPTIONS {alive.contact} SIP/2.0".encode()) and m.get("From").startswith("<sip:ka@test.ringfort>;tag=")
                and m.get("To") == "<sip:alive@domain.test>" and ";rport" in m.get("Via") and m.get("Max-Forwards") == "70", m.raw)
        told = contact_of(server, "alive")
        r.check(f"{name} the answer is noted", told and told["KA-Roundtrip"] > 0 and abs(told["Last-Keepalive"] - time.time()) < 3, told)
        for user in ("odd", "silent"):
            r.check(f"{name} {user} is removed", sip.wait_until(lambda: contact_of(server, user) is None, 10), contact_of(server, user))
            r.check(f"{name} {user}: the event route hears of it", sip.wait_until(lambda: f"gone: sip:{user}@" in server.log_text(), 5))
        for user in ("alive", "busy", "stream"):
            r.check(f"{name} {user} stays", contact_of(server, user) is not None)
        r.check(f"{name} ka_logmsg", sip.wait_until(lambda: f"to-uri: [sip:alive@domain.test] remote-addr: [udp:127.0.0.1:{alive.port}]" in server.log_text(), 3))
        r.check(f"{name} the script does not see the answers", "the script saw" not in server.log_text())
        # an answer that we did not ask for
        via = re.sub(r"branch=(z9hG4bKka\.\w+\.\w+\.)\w", r"branch=\g<1>0", m.get("Via"))
        alive.send(f"SIP/2.0 200 OK\r\nVia: {via}\r\nFrom: {m.get('From')}\r\nTo: {m.get('To')};tag=t\r\nCall-ID: {m.get('Call-ID')}\r\n"
                   f"CSeq: {m.get('CSeq')}\r\nContent-Length: 0\r\n\r\n")
        r.check(f"{name} a changed branch is not ours", sip.wait_until(lambda: "the script saw 200" in server.log_text(), 5))
        for ua in uas.values():
            ua.close()
    for mode, want in ((2, {"plain": False, "nat": True, "tcpnat": True}), (4, {"plain": True, "nat": True, "tcpnat": False}),
                       (6, {"plain": False, "nat": True, "tcpnat": False}), (0, {"plain": False, "nat": False, "tcpnat": False})):
        with ctx.server("server.cfg", defines=[f"KA_MODE={mode}", "KA_TIMEOUT=0"]) as server:
            uas = {}
            for user, proto, nat in (("plain", "udp", False), ("tcpnat", "tcp", True), ("nat", "udp", True)):
                uas[user] = sip.Ua(server.host, server.port, proto, user=user)
                answering(uas[user], 200)
                uas[user].register(user, expires=3600, headers=["X-Nat: 1"] if nat else [])
            if mode:
                sip.wait_until(lambda: uas["nat"].asked >= 3, 10)  # then everybody had his turn
            else:
                server.rpc("ul.dump")
            got = {user: ua.asked > 0 for user, ua in uas.items()}
            r.check(f"{name} ka_mode {mode}", got == want, f"{got}")
            got = [contact_of(server, user)["Keepalive"] for user in ("plain", "nat", "tcpnat")]
            r.check(f"{name} ka_mode {mode}: who is behind a NAT", got == [0, 1, 1], got)
            for ua in uas.values():
                ua.close()
