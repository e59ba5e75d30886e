# SPDX-License-Identifier: BSD-2-Clause
"""What less common parameters and forms of call do."""
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


def run(r, ctx):
    forwarded_replies(r, ctx)
