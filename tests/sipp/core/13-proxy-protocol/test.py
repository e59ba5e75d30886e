# SPDX-License-Identifier: BSD-2-Clause
"""tcp_accept_haproxy: the PROXY header, versions 1 and 2, in front of a stream; whose address everything then sees."""
import re
import socket
import struct
import time

import sip

NAME = "core/13-proxy-protocol"
SIG = b"\r\n\r\n\0\r\nQUIT\n"
V4 = bytes([10, 1, 2, 3, 10, 9, 8, 7]) + struct.pack("!HH", 1234, 5070)
V6 = socket.inet_pton(socket.AF_INET6, "2001:db8::1") + socket.inet_pton(socket.AF_INET6, "2001:db8::2") + struct.pack("!HH", 1234, 5070)


def v2(command, family, payload):
    return SIG + bytes([0x20 | command, family]) + struct.pack("!H", len(payload)) + payload


def options(n=0):
    return (f"OPTIONS sip:x@x SIP/2.0\r\nVia: SIP/2.0/TCP 10.1.2.3:1234;branch=z9hG4bK{time.monotonic_ns()}{n}\r\nFrom: <sip:a@a>;tag=1\r\nTo: <sip:x@x>\r\n"
            f"Call-ID: c{n}\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 7\r\nContent-Length: 0\r\n\r\n").encode()


def ask(server, *parts, pause=0.0, wait=3.0):
    """Sends the parts over a connection of its own; the status line, "" when the server closed it, None after `wait`."""
    with socket.create_connection((server.host, server.port)) as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        s.settimeout(wait)
        try:
            for p in parts:
                s.sendall(p)
                time.sleep(pause)
            return s.recv(4096).decode().split("\r\n")[0]
        except socket.timeout:
            return None
        except OSError:
            return ""


def run(r, ctx):
    with ctx.server("server.cfg") as server:
        seen = lambda: re.findall(r"@@tcp (.*?)@@", server.log_text())
        here = f"127.0.0.1 {server.port}"
        client = f"10.1.2.3 1234 {here}"
        for what, head, want in (("v1", b"PROXY TCP4 10.1.2.3 10.9.8.7 1234 5070\r\n", client), ("v1 IPv6", b"PROXY TCP6 2001:db8::1 2001:db8::2 1234 5070\r\n", f"2001:db8::1 1234 {here}"),
                                 ("v1 UNKNOWN", b"PROXY UNKNOWN a b\r\n", None), ("v2", v2(1, 0x11, V4), client), ("v2 IPv6", v2(1, 0x21, V6), f"2001:db8::1 1234 {here}"),
                                 ("v2 with extensions", v2(1, 0x11, V4 + b"\x04\0\x02ab"), client), ("v2 LOCAL", v2(0, 0, b""), None)):
            n = len(seen())
            got = ask(server, head + options())
            r.check(f"{NAME} {what} is answered", got == "SIP/2.0 200 OK", got)
            sip.wait_until(lambda: len(seen()) > n, 3)
            last = seen()[-1] if seen() else ""
            ok = last == want if want else last.startswith("127.0.0.1 ") and last.endswith(here)
            r.check(f"{NAME} {what}: the source", ok, last)
        got = ask(server, *[bytes([b]) for b in v2(1, 0x11, V4) + options()], pause=0.0005)
        r.check(f"{NAME} byte by byte", got == "SIP/2.0 200 OK", got)
        got = ask(server, *[bytes([b]) for b in b"PROXY TCP4 10.1.2.3 10.9.8.7 1234 5070\r\n" + options()], pause=0.0005)
        r.check(f"{NAME} byte by byte, v1", got == "SIP/2.0 200 OK", got)
        n = len(seen())
        for what, head in (("no header", b""), ("a wrong address", b"PROXY TCP4 10.1.2.300 10.9.8.7 1234 5070\r\n"), ("a header in the middle", options() + v2(1, 0x11, V4)), ("version 3", v2(0x11, 0x11, V4)),
                           ("addresses of datagrams", v2(1, 0x12, V4)), ("a header without end", b"PROXY " + b"x" * 200)):
            got = ask(server, head + options())
            r.check(f"{NAME} {what} is refused", got == "", got)
        with socket.create_connection((server.host, server.port)) as s:
            s.sendall(v2(1, 0x11, V4)[:20])
            s.shutdown(socket.SHUT_WR)
            s.settimeout(5)
            try:
                got = s.recv(10)
            except OSError:
                got = b""
            r.check(f"{NAME} half a header and the end", got == b"", got)
        r.check(f"{NAME} what was refused reached no script", len(seen()) == n, seen()[n:])
        r.check(f"{NAME} and the log says why", sip.wait_until(lambda: server.log_text().count("tcp_accept_haproxy: connection from 127.0.0.1:") == 7, 3), server.log_text()[-2000:])
        begin = time.monotonic()
        got = ask(server, b"PROXY TCP4", wait=5.0)
        r.check(f"{NAME} who says nothing more is shut out", got == "" and 0.5 < time.monotonic() - begin < 3, (got, time.monotonic() - begin))
        # addresses and counts are the client's
        r.check(f"{NAME} nobody is left", sip.wait_until(lambda: not server.rpc("core.tcp_list"), 5), server.rpc("core.tcp_list"))
        held = [socket.create_connection((server.host, server.port)) for _ in range(3)]
        answers = []
        for i, s in enumerate(held):
            s.settimeout(3)
            try:
                s.sendall(b"PROXY TCP4 10.1.2.3 10.9.8.7 %d 5070\r\n" % (2000 + i) + options(i))
                answers.append(s.recv(4096)[:11])
            except OSError:
                answers.append(b"")
        r.check(f"{NAME} tcp_accept_iplimit counts the client", answers == [b"SIP/2.0 200", b"SIP/2.0 200", b""], answers)
        got = sorted((c["src_ip"], int(c["src_port"])) for c in server.rpc("core.tcp_list"))
        r.check(f"{NAME} core.tcp_list", got == [("10.1.2.3", 2000), ("10.1.2.3", 2001)], got)
        for s in held:
            s.close()
