# SPDX-License-Identifier: BSD-2-Clause
"""What several edits of one message leave, field for field as on Kamailio 5.6.3: what is put at one place stands in the order of the calls."""
import re

import sip

# (name of the case in server.cfg, the fields that count, what they are in the message that leaves, its body)
SDP = b"v=0\r\ns=-\r\n"
CASES = [
    ("insert first", "P-", ["P-I: 1", "P-I: 2", "P-I: 3"], SDP),
    ("insert before", "P-|Subject|X-Two", ["P-I: 1", "P-I: 2", "Subject: old subject", "X-Two: old old"], SDP),
    ("append behind", "P-|Subject|X-Two", ["Subject: old subject", "P-I: 1", "P-I: 2", "X-Two: old old"], SDP),
    ("field iterator", "P-|Subject|X-Two", ["Subject: old subject", "P-I: 1", "P-I: 2", "X-Two: old old"], SDP),
    ("line iterator", "P-", [], b"v=0\r\nP-B: 1\r\nP-B: 2\r\ns=-\r\n"),
    ("replace_hdrs", "Subject|X-Two", ["Subject: new subject", "X-Two: old old"], SDP),
    ("body of another type", "Content-T", ["Content-Type: text/plain"], b"hello"),
    # ours: Kamailio leaves a body without a type
    ("body of the same type", "Content-T", ["Content-Type: application/sdp"], b"hello"),
    ("body, read again", "Content-T|P-", ["Content-Type: text/plain", "P-B: 5 text/plain"], b"hello"),
]


def run(r, ctx):
    with ctx.server("server.cfg") as server:
        ua = sip.Ua(server.host, server.port)
        for what, fields, want, body in CASES:
            if what == "body of the same type" and not ctx.program.endswith("ringfort"):
                continue
            ua.send(ua.request("MESSAGE", "sip:x@test.ringfort", "<sip:x@test.ringfort>", headers=[f"X-Do: {what}", "Subject: old subject", "X-Two: old old"], body=SDP))
            m = ua.expect(lambda m: m.get("X-Do") == what)
            got = m and [f"{n}: {v}" for n, v in m.headers if re.match(fields, n)]
            r.check(f"core/18-edits {what}", m and got == want and m.body == body and m.all("Content-Length") == [str(len(body))], m and f"{got} {m.body}")
        ua.close()
