# SPDX-License-Identifier: BSD-2-Clause
"""What less common parameters and forms of call do."""
import re

import sip

NAME = "core/09-parameters"


def reply(server, ua, status, reason):
    """A reply to a request that the server never sent: through it back to ua, and what arrived there."""
    branch = ua.branch()
    ua.send(f"SIP/2.0 {status} {reason}\r\nVia: SIP/2.0/UDP {server.host}:{server.port};branch=z9hG4bKcf.0\r\nVia: SIP/2.0/UDP {ua.hostport};branch={branch}\r\n"
            f"From: <sip:a@a>;tag=1\r\nTo: <sip:b@b>;tag=2\r\nCall-ID: {branch}\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n")
    got = ua.expect(lambda m: m.get("Call-ID") == branch, 2)
    return got and got.first


def forwarded_replies(r, ctx):
    with ctx.server("replies.cfg") as server:
        ua = sip.Ua(server.host, server.port)
        for status, reason, want in ((486, "Busy", "SIP/2.0 480 Not Now"), (404, "Gone", "SIP/2.0 410 Gone"), (500, "As it is", "SIP/2.0 500 As it is"), (183, "x", None)):
            got = reply(server, ua, status, reason)
            r.check(f"{NAME} sl_forward_reply of {status}", got == want, f"{got!r} instead of {want!r}")
        ua.close()


def marks(server):
    return re.findall(r"@@(.*?)@@", server.log_text())


def raw_bytes(r, ctx):
    """Bit 2: what is no message is seen as well, datagrams and reads of a stream; drop throws it away."""
    with ctx.server("features.cfg", defines=["RAW=2"]) as server:
        ua = sip.Ua(server.host, server.port)
        tcp = sip.Ua(server.host, server.port, "tcp")
        ua.send("\r\n\r\n")
        r.check(f"{NAME} a keepalive is seen", sip.wait_until(lambda: "raw udp 4" in marks(server), 3), marks(server)[-3:])
        tcp.send("\r\n\r\n")
        r.check(f"{NAME} bytes of a stream are seen", sip.wait_until(lambda: "raw tcp 4" in marks(server), 3), marks(server)[-3:])
        for proto, client in (("udp", ua), ("tcp", tcp)):
            client.send(client.request("OPTIONS", "sip:x@x", "<sip:x@x>", headers=["X-Drop-Me: 1"]))
            client.send(client.request("OPTIONS", "sip:x@x", "<sip:x@x>", callid=f"{proto}-kept") if proto == "udp" else "\r\n\r\n")
            if proto == "udp":
                got = client.expect(200, 3)
                r.check(f"{NAME} drop of a datagram", got and got.get("Call-ID") == "udp-kept", got and got.first)
            else:
                r.check(f"{NAME} drop of bytes of a stream", client.expect(200, 0.5) is None)
        ua.close()
        tcp.close()


def one_at_a_time(r, ctx):
    """With route_locks_size the route of a Call-ID's next message begins when the one before it is over."""
    for locks, want in ((None, ["in", "in", "out", "out"]), (8, ["in", "out", "in", "out"])):
        with ctx.server("features.cfg", defines=[f"LOCKS={locks}"] if locks else []) as server:
            ua = [sip.Ua(server.host, server.port) for _ in range(6)]
            for n, u in enumerate(ua[:2]):
                u.send(u.request("INFO", "sip:x@x", "<sip:x@x>", callid="same", cseq=n + 1, contact=False))
            answered = [u.expect(200, 5) for u in ua[:2]]
            r.check(f"{NAME} route_locks_size {locks}: both are answered", all(answered))
            sip.wait_until(lambda: len(marks(server)) >= 4, 3)
            r.check(f"{NAME} route_locks_size {locks}: order", [m.split()[0] for m in marks(server)] == want, marks(server))
            for u in ua:
                u.close()


def asked(ctx, define, uri):
    with ctx.server("features.cfg", defines=define) as server:
        ua = sip.Ua(server.host, server.port)
        ua.send(ua.request("INVITE", uri, "<sip:x@x>"))
        got = ua.expect(200, 3)
        ua.close()
        return {n: got.get(n) for n in ("X-Branches", "X-User", "X-Uri")} if got else {}


def in_the_script(r, ctx):
    for branches, want in ((3, "2"), (12, "4")):
        got = asked(ctx, [f"BRANCHES={branches}"], "sip:x@x")
        r.check(f"{NAME} max_branches {branches}", got.get("X-Branches") == want, got)
    number = "sip:+12;ext=3@b.example;user=phone"
    for define, user, uri in (([], "+12", "sip:99;ext=3@b.example;user=phone"), (["PHONE=0"], "+12;ext=3", "sip:99@b.example;user=phone")):
        got = asked(ctx, define, number)
        r.check(f"{NAME} phone2tel {define}", got.get("X-User") == user and got.get("X-Uri") == uri, got)


def slow_actions(r, ctx):
    with ctx.server("features.cfg", defines=["LATENCY"]) as server:
        ua = sip.Ua(server.host, server.port)
        ua.send(ua.request("MESSAGE", "sip:x@x", "<sip:x@x>", contact=False))
        r.check(f"{NAME} latency: answered", ua.expect(200, 3))
        r.check(f"{NAME} latency_limit_action", sip.wait_until(lambda: re.search(r"alert - action \[usleep.*took too long \[\d+ us\]", server.log_text()), 3), server.log_text()[-500:])
        r.check(f"{NAME} latency_limit_cfg", sip.wait_until(lambda: re.search(r"request-route executed in: \d+ usec", server.log_text()), 3))
        ua.close()


def run(r, ctx):
    forwarded_replies(r, ctx)
    if "kamailio" in ctx.program:
        return # append_branch() and $rcv() of the script are those of later versions
    raw_bytes(r, ctx)
    one_at_a_time(r, ctx)
    in_the_script(r, ctx)
    slow_actions(r, ctx)
