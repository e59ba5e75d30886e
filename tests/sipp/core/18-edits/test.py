# SPDX-License-Identifier: BSD-2-Clause
"""What several edits of one message leave, field for field as on Kamailio 5.6.3: what is put at one place stands in the order of the calls."""
import re

import sip

# (name of the case in server.cfg, the fields that count, what they are in the message that leaves, its body)
B64 = "c2lwOmFsaWNlQDEwLjAuMC4xOjUwNzA7Zm9vPTE"
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
    ("contact hidden", "Contact", [f'Contact: "A" <sip:9.9.9.9:5080;transport=tcp;at={B64}>;q=1, <sip:9.9.9.9:5080;transport=tcp;at=c2lwOmJAYw>'], SDP),
    ("contact back", "Contact", ['Contact: "A" <sip:alice@10.0.0.1:5070;foo=1>;q=1, <sip:b@c>'], SDP),
    ("request URI back", "Contact", None, SDP),
    ("body, read again", "Content-T|P-", ["Content-Type: text/plain", "P-B: 5 text/plain"], b"hello"),
]


def run(r, ctx):
    with ctx.server("server.cfg") as server:
        ua = sip.Ua(server.host, server.port)
        for what, fields, want, body in CASES:
            if what == "body of the same type" and not ctx.program.endswith("ringfort"):
                continue
            contact = f'"A" <sip:x@9.9.9.9;at={B64};z>;q=1, <sip:b@c>' if what == "contact back" else '"A" <sip:alice@10.0.0.1:5070;foo=1>;q=1, <sip:b@c>'
            ua.send(ua.request("MESSAGE", f"sip:x@test.ringfort;at={B64};z", "<sip:x@test.ringfort>", contact=False, body=SDP,
                               headers=[f"X-Do: {what}", f"Contact: {contact}", "Subject: old subject", "X-Two: old old"]))
            m = ua.expect(lambda m: m.get("X-Do") == what)
            got = m and [f"{n}: {v}" for n, v in m.headers if re.match(fields, n)]
            if want is None:
                r.check(f"core/18-edits {what}", m and m.ruri == "sip:alice@10.0.0.1:5070;foo=1", m and m.first)
                continue
            r.check(f"core/18-edits {what}", m and got == want and m.body == body and m.all("Content-Length") == [str(len(body))], m and f"{got} {m.body}")
        ua.close()
