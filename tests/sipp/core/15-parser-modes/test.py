# SPDX-License-Identifier: BSD-2-Clause
"""http_reply_parse: what is taken as a reply, over datagrams and streams, statelessly and of a transaction. sip_parser_mode: which fields may be there twice.
The same rows pass on Kamailio 5.6.3, but for those that say "ours"."""
import sip

NAME = "core/15-parser-modes"


def http_replies(r, ctx):
    for on in (1, 0):
        with ctx.server("server.cfg", defines=[f"HTTP={on}"]) as server:
            back = sip.Ua(server.host, server.port)

            def tell(proto, line):
                """A reply to a request that the server never sent: what came back of it."""
                ua = sip.Ua(server.host, server.port, proto)
                cid = ua.branch()
                ua.send(f"{line}\r\nVia: SIP/2.0/{proto.upper()} {server.host}:{server.port};branch=z9hG4bKcf.0\r\nVia: SIP/2.0/UDP {back.hostport};branch={cid}\r\n"
                        f"From: <sip:a@a>;tag=1\r\nTo: <sip:b@b>;tag=2\r\nCall-ID: {cid}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 2\r\n\r\nhi")
                ua.send(ua.request("OPTIONS", "sip:test.ringfort", "<sip:test.ringfort>"))
                ua.expect(200, 1)  # on a stream it is there only when that of the line before could be framed
                got = back.expect(lambda m: m.get("Call-ID") == cid, 3 if on and "bad" not in line else 0.3)
                ua.close()
                return got

            for proto in ("udp", "tcp"):
                for line, seen in (("HTTP/1.1 200 OK", "200 OK HTTP/1.1"), ("HTTP/1.0 404 Not Found", "404 Not Found HTTP/1.0"), ("http/2 503 Later", "503 Later http/2")):
                    got = tell(proto, line)
                    if on:
                        r.check(f"{NAME} {proto} {line}", got and got.first == line and got.get("X-Reply") == seen and len(got.all("Via")) == 1 and got.body == b"hi", got and got.raw)
                    else:
                        r.check(f"{NAME} off: {proto} {line}", got is None, got and got.raw)
                for line in ("HTTP/1.1 200", "HTTP/1.1  200 bad", "HTTP/1.1 20 bad", "HTTP/x 200 bad", "HTTP/1.12 200 bad", "HTTPS/1.1 200 bad"):
                    got = tell(proto, line)
                    r.check(f"{NAME} {on}: {proto} {line} is none", got is None, got and got.raw)
                got = tell(proto, "SIP/2.0 200 OK")
                r.check(f"{NAME} {on}: {proto} SIP goes on", got and got.first == "SIP/2.0 200 OK" and got.get("X-Reply") == "200 OK SIP/2.0", got and got.raw)
                if on:
                    got = tell(proto, "HTTP/1.1 480 Gone")
                    r.check(f"{NAME} {proto} its status can be changed", got and got.first == "HTTP/1.1 486 Busy Here", got and got.raw)
            back.close()
    with ctx.server("server.cfg", defines=["HTTP=1"]) as server:
        a, b = sip.Ua(server.host, server.port, user="alice"), sip.Ua(server.host, server.port, user="bob")
        a.send(a.request("MESSAGE", b.contact, "<sip:bob@test.ringfort>"))
        m = b.expect("MESSAGE")
        fields = "".join(f"{n}: {v}\r\n" for n, v in m.headers if n in ("Via", "From", "Call-ID", "CSeq"))
        b.send(f"HTTP/1.1 200 Fine\r\n{fields}To: {m.get('To')};tag=1\r\nContent-Length: 0\r\n\r\n")
        got = a.expect(lambda m: m.get("X-Reply"), 3)
        r.check(f"{NAME} one for a transaction ends it", got and got.first == "HTTP/1.1 200 Fine" and got.get("X-Ours") == "HTTP/1.1", got and got.raw)
        r.check(f"{NAME} and the request is not sent again", b.expect("MESSAGE", 1.2) is None)
        a.close()
        b.close()


def repeats(r, ctx):
    ours = "kamailio" not in ctx.program
    # what is there once more, whether it is taken in mode 0 and in mode 1
    rows = [("Call-ID: other", True, False), ("i: other", True, False), ("CSeq: 9 OPTIONS", True, False), ("CSeq: 1 INVITE", True, False), ("From: <sip:x@y>;tag=9", True, False),
            ("To: <sip:x@y>;tag=9", True, False), ("Content-Length: 1", True, False), ("Max-Forwards: 5", False, False), ("Expires: 5", True, True), ("Subject: 2", True, True)]
    for mode in (0, 1, None):
        with ctx.server("server.cfg", defines=[] if mode is None else [f"MODE={mode}"]) as server:
            ua = sip.Ua(server.host, server.port)
            for more, *taken in rows:
                cid = ua.branch()
                ua.send(f"OPTIONS sip:test.ringfort SIP/2.0\r\nVia: SIP/2.0/UDP {ua.hostport};branch={cid};rport\r\nMax-Forwards: 70\r\nFrom: <sip:a@a>;tag=1\r\nTo: <sip:b@b>\r\n"
                        f"Call-ID: {cid}\r\nCSeq: 1 OPTIONS\r\nExpires: 1\r\nSubject: 1\r\nContent-Length: 0\r\n{more}\r\n\r\n")
                want = taken[1 if mode is None else mode]
                got = ua.expect(lambda m: m.get("Call-ID") == cid, 3 if want or ours else 0.3)
                if want:
                    r.check(f"{NAME} mode {mode}: {more} is passed over", got and got.status == 200 and got.get("X-Saw") == f"{cid} 1 a b 0", got and got.raw)
                    if ours:
                        r.check(f"{NAME} ours: mode {mode}: {more}: the reply has the first alone", got and all(len(got.all(n)) == 1 for n in ("Call-ID", "CSeq", "From", "To", "Content-Length")), got and got.raw)
                else:
                    r.check(f"{NAME} mode {mode}: {more} is refused", got and got.status == 400 if ours else got is None, got and got.raw)
            b = sip.Ua(server.host, server.port, user="bob")
            if ours and mode == 0:
                request = b.request("MESSAGE", b.contact, "<sip:bob@test.ringfort>", body="hello world", ctype="text/plain")
                ua.send(request.replace(b"Content-Length: 11\r\n", b"Content-Length: 5\r\nX: 1\r\nl: 999\r\n"))
                got = b.expect("MESSAGE")
                r.check(f"{NAME} ours: what is sent on says one length", got and got.body == b"hello" and (got.get("Content-Length"), got.get("l")) == ("5", "5"), got and got.raw)
                tcp = sip.Ua(server.host, server.port, "tcp")
                tcp.send(tcp.request("OPTIONS", "sip:test.ringfort", "<sip:test.ringfort>").replace(b"Content-Length: 0", b"Content-Length: 0\r\nl: 5"))
                got = tcp.expect(lambda m: m.status)
                r.check(f"{NAME} ours: a stream is refused in every mode", got and got.first == "SIP/2.0 400 Conflicting Content-Length", got and got.raw)
                r.check(f"{NAME} ours: and closed", sip.wait_until(lambda: tcp.closed, 3))
                tcp.close()
            b.close()
            ua.close()


def run(r, ctx):
    http_replies(r, ctx)
    repeats(r, ctx)
