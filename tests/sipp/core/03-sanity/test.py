# SPDX-License-Identifier: BSD-2-Clause
"""sanity_check(), bit by bit: the answer to each broken message. The same rows pass on Kamailio 5.6.3; those that say "ours" follow RFC 3261 where it does not:
it drops what it cannot parse, reports the first unknown extension, and so on (see the module's README)."""
import sip

GOOD = [("line", "MESSAGE sip:bob@test.ringfort SIP/2.0"), ("Via", "SIP/2.0/UDP {at};branch=z9hG4bK{n};rport"), ("Max-Forwards", "70"),
        ("From", "<sip:a@test.ringfort>;tag=1"), ("To", "<sip:b@test.ringfort>"), ("Call-ID", "c{n}"), ("CSeq", "1 MESSAGE"), ("Content-Length", "0")]
AUTH = 'Digest username="u", realm="r", nonce="n", uri="sip:x", response="0123456789abcdef0123456789abcdef"'
without = lambda field: AUTH.replace(f'{field}, ', "")
line = lambda uri, version="SIP/2.0": {"line": f"MESSAGE {uri} {version}"}
auth = lambda value: {"Authorization": value}
PASS = "299 Passed"

# bits, URI bits, name, what is different (None: not there), answer, Unsupported
ROWS = [
    (4095, 7, "all is well", {}, PASS),
    (1, 7, "ours: a version in small letters", line("sip:bob@test.ringfort", "sip/2.0"), "505 Version Not Supported (R-URI)"),
    (2, 7, "tel", line("tel:+123"), PASS),
    (2, 7, "sips", line("sips:b@c"), PASS),
    (2, 7, "urn", line("urn:service:sos"), PASS),
    (2, 7, "ours: an unknown scheme", line("foo:bob@test.ringfort"), "416 Unsupported URI Scheme in Request URI"),
    (2, 7, "no scheme", line("bob"), "400 Bad Request URI"),
    (2, 7, "a port of letters", line("sip:a@b:x"), "400 Bad Request URI"),
    (4, 7, "no Max-Forwards", {"Max-Forwards": None}, PASS),
    (4, 7, "ours: no To", {"To": None}, "400 Missing To"),
    (32, 7, "another method in CSeq", {"CSeq": "1 INVITE"}, "400 CSeq method does not match request method"),
    (32, 7, "methods have case", {"CSeq": "1 message"}, "400 CSeq method does not match request method"),
    (64, 7, "CSeq below zero", {"CSeq": "-1 MESSAGE"}, "400 CSeq number is illegal"),
    (64, 7, "CSeq with a tail", {"CSeq": "1x MESSAGE"}, "400 CSeq number is illegal"),
    (64, 7, "ours: CSeq of 32 bits", {"CSeq": "4294967295 MESSAGE"}, "400 CSeq number is illegal"),
    (64, 7, "CSeq with zeros", {"CSeq": "0000000001 MESSAGE"}, PASS),
    (128, 7, "a body that is not there", {"Content-Length": "5"}, "400 Content-Length mis-match"),
    (128, 7, "no length", {"Content-Length": None}, PASS),
    (128, 7, "ours: bytes behind the body", {"body": "hello"}, PASS),
    (256, 7, "Expires", {"Expires": "4294967295"}, PASS),
    (256, 7, "Expires that is no number", {"Expires": "abc"}, "400 Expires value is illegal"),
    (256, 7, "Expires with a tail", {"Expires": "10x"}, "400 Expires value is illegal"),
    (256, 7, "an empty Expires", {"Expires": ""}, "400 Bad Expires Header"),
    (512, 7, "extensions that we know", {"Proxy-Require": "foo,bar"}, PASS),
    (512, 7, "one that we do not", {"Proxy-Require": "foo, baz"}, "420 Bad Proxy Require Extension", "baz"),
    (512, 7, "ours: all of them", {"Proxy-Require": "qux, foo, baz"}, "420 Bad Proxy Require Extension", "qux, baz"),
    (512, 7, "an empty Proxy-Require", {"Proxy-Require": ""}, "400 Bad Proxy Require Header"),
    (1024, 1, "a Request-URI nobody knows", line("foo:a"), "400 Bad Request URI"),
    (1024, 2, "a From without scheme", {"From": "<foo>;tag=1"}, "400 Invalid From Header"),
    (1024, 2, "a From with a bad port", {"From": "<sip:a@b:x>;tag=1"}, "400 Invalid From Header"),
    (1024, 2, "a From that does not close", {"From": "<sip:a@b"}, "400 Invalid From Header"),
    (1024, 1, "which nobody asked about", {"From": "<foo>;tag=1"}, PASS),
    (1024, 4, "ours: a To without scheme", {"To": "<foo>"}, "400 Invalid To Header"),
    (1024, 8, "a Contact without scheme", {"Contact": "<foo>"}, "400 Bad Contact URI"),
    (1024, 8, "a second one", {"Contact": "<sip:a@b>, <foo>"}, "400 Bad Contact URI"),
    (1024, 8, "a Contact that does not close", {"Contact": "<sip:a@b"}, "400 Bad Contact Header"),
    (1024, 8, "an empty Contact", {"Contact": ""}, "400 Bad Contact Header"),
    (1024, 8, "a star", {"Contact": "*"}, PASS),
    (2048, 7, "credentials", auth(AUTH), PASS),
    (2048, 7, "without user", auth(without('username="u"')), "400 Bad Auth Credentials"),
    (2048, 7, "without realm", auth(without('realm="r"')), "400 Bad Auth Credentials"),
    (2048, 7, "without URI", auth(without('uri="sip:x"')), "400 Bad Auth Credentials"),
    (2048, 7, "with an empty user", auth(AUTH.replace('"u"', '""')), "400 Auth Empty User"),
    (2048, 7, "with an empty nonce", auth(AUTH.replace('"n"', '""')), "400 Auth Empty Nonce"),
    (2048, 7, "with an empty response", auth(AUTH[:AUTH.index(", response")] + ', response=""'), "400 Auth Empty Response"),
    (2048, 7, "with an empty realm", auth(AUTH.replace('"r"', '""')), PASS),
    (2048, 7, "that are none", auth("Digest garbage"), "400 Bad Auth Header"),
    (2048, 7, "for a proxy", {"Proxy-Authorization": without('nonce="n"')}, "400 Bad Auth Credentials"),
    (4096, 7, "two tags in From", {"From": "<sip:a@b>;tag=1;tag=2"}, "400 Many From Tag Params"),
    (4096, 7, "two tags in To", {"To": "<sip:a@b>;tag=1;tag=2"}, "400 Many To Tag Params"),
    (8192, 7, "an Authorization that is none", auth("Digest garbage"), "400 Bad Auth Header"),
    (0, 7, "no bits", {}, "298 Failed"),
    (131072, 7, "a bit too many", {}, "298 Failed"),
    (1, 16, "a URI bit too many", {}, "298 Failed"),
    (3047, 7, "the first that fails answers", {"CSeq": "1 INVITE", "Expires": "abc"}, "400 CSeq method does not match request method"),
]


def send(server, n, bits, uris, change):
    ua = sip.Ua(server.host, server.port)
    change, lines = dict(change), []
    body = change.pop("body", "")
    for field, value in GOOD:
        value = change.pop(field, value)
        if value is None:
            continue
        value = value.format(at=ua.hostport, n=f"{ua.port}.{n}")
        lines.append(value if field == "line" else f"{field}: {value}")
        if field == "Via":
            lines += [f"X-Checks: {bits}", f"X-Uris: {uris}"]
    lines += [f"{field}: {value}" for field, value in change.items()]
    ua.send("\r\n".join(lines) + "\r\n\r\n" + body)
    got = ua.expect(lambda m: m.status is not None)
    ua.close()
    return got


def run(r, ctx):
    name = "core/03-sanity"
    ours = "kamailio" not in ctx.program
    with ctx.server("server.cfg", defines=["AUTODROP=1"]) as server:
        for n, (bits, uris, what, change, want, *unsupported) in enumerate(ROWS):
            if what.startswith("ours") and not ours:
                continue
            got = send(server, n, bits, uris, change)
            r.check(f"{name} {bits} {what}", got and got.first == f"SIP/2.0 {want}" and got.get("Unsupported") == (unsupported or [None])[0], got and got.raw)
    with ctx.server("server.cfg", defines=["AUTODROP=0"]) as server:
        got = send(server, 1, 256, 7, {"Expires": "abc"})
        r.check(f"{name} autodrop 0: answered all the same", got and got.first == "SIP/2.0 400 Expires value is illegal", got and got.raw)
