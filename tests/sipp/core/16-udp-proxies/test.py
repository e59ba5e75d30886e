# SPDX-License-Identifier: BSD-2-Clause
"""udp_accept_proxy: whose address everything sees, and that all that is for a client goes back through its proxy: replies at once and late, repeated ones, and
requests; with the header in front that the proxy wants. Clients are addresses that nobody could reach."""
import socket
import struct

import sip

NAME = "core/16-udp-proxies"
SIG = b"\r\n\r\n\0\r\nQUIT\n"


class Proxy:
    """A socket that speaks for clients with one of the headers, or for itself."""

    def __init__(self, server, kind, client="10.1.2.3", port=4321, dst="192.0.2.9", dport=5060):
        self.kind, self.client, self.port, self.to = kind, client, port, (server.host, server.port)
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.own = self.sock.getsockname()[1]
        six = lambda ip: socket.inet_pton(socket.AF_INET6, ip if ":" in ip else f"::ffff:{ip}")
        if kind == "simple":
            self.head = b"\x56\xec" + six(client) + six(dst) + struct.pack("!HH", port, dport)
        elif kind == "v2":
            v6 = ":" in client
            pack = six if v6 else socket.inet_aton
            body = pack(client) + pack(dst) + struct.pack("!HH", port, dport) + b"\x04\0\x02ab"
            self.head = SIG + bytes([0x21, 0x22 if v6 else 0x12]) + struct.pack("!H", len(body)) + body
        else:
            self.head = b""
        self.back = self.head if kind == "simple" else b""

    def send(self, text, head=None):
        self.sock.sendto((self.head if head is None else head) + text, self.to)

    def expect(self, seconds=3.0):
        """The next message, its header checked and taken off; None at the deadline."""
        self.sock.settimeout(seconds)
        try:
            data = self.sock.recv(65536)
        except socket.timeout:
            return None
        if not data.startswith(self.back) or data[len(self.back):len(self.back) + 3] not in (b"SIP", b"INV", b"MES", b"INF", b"CAN", b"ACK"):
            return sip.Msg(b"HEADER? " + data)
        return sip.Msg(data[len(self.back):])

    def request(self, method, more="", rport=";rport", n=[0]):
        n[0] += 1
        host = f"[{self.client}]" if ":" in self.client else self.client
        return (f"{method} sip:x@test.ringfort SIP/2.0\r\nVia: SIP/2.0/UDP {host}:{self.port};branch=z9hG4bKp{self.own}.{n[0]}{rport}\r\nMax-Forwards: 70\r\nFrom: <sip:a@a>;tag=1\r\n"
                f"To: <sip:b@b>\r\nCall-ID: p{self.own}.{n[0]}\r\nCSeq: 1 {method}\r\nContact: <sip:a@{host}:{self.port}>\r\n{more}Content-Length: 0\r\n\r\n").encode()

    def close(self):
        self.sock.close()


def count(server, name):
    return int(server.rpc("stats.fetch", f"udp.{name}")[f"udp.{name}"])


def one(r, server, kind, client, port):
    what = f"{NAME} {kind} {client}"
    p = Proxy(server, kind, client, port)
    b = sip.Ua(server.host, server.port, user="bob")
    me = f"{client}:{port}"
    v6 = ":" in client

    p.send(p.request("OPTIONS"))
    m = p.expect()
    r.check(f"{what}: the source is the client, the answer the proxy's", m and m.status == 200 and m.get("X-From") == me, m and m.raw)
    r.check(f"{what}: received and rport are the client's", m and f"received={client}" in m.get("Via").replace("[", "").replace("]", "") and f"rport={port}" in m.get("Via") if not v6 else m, m and m.raw)
    p.send(p.request("OPTIONS", rport="").replace(f":{port};branch".encode(), b":9;branch"))
    m = p.expect()
    r.check(f"{what}: also when its Via names another port", m and m.status == 200, m and m.raw)

    # a transaction whose replies come later, repeated ones too
    text = p.request("INVITE", f"X-To: {b.hostport}\r\n")
    p.send(text)
    m = p.expect()
    r.check(f"{what}: 100", m and m.status == 100, m and m.raw)
    inv = b.expect("INVITE")
    r.check(f"{what}: what is relayed has no header", inv and inv.get("X-From") == me, inv and inv.raw)
    b.reply(inv, 180, "Ringing", tag="b")
    m = p.expect()
    r.check(f"{what}: a later reply", m and m.status == 180, m and m.raw)
    b.reply(inv, 486, "Busy", tag="b")
    r.check(f"{what}: the final one", (m := p.expect()) and m.status == 486, m and m.raw)
    r.check(f"{what}: and again until it is acknowledged", (m := p.expect(2)) and m.status == 486, m and m.raw)
    ack = text.replace(b"INVITE", b"ACK").replace(b"To: <sip:b@b>", b"To: <sip:b@b>;tag=b")
    p.send(ack)

    if not v6:
        # stateless both ways, and a request to the client
        p.send(p.request("INFO", f"X-To: {b.hostport}\r\n"))
        while (inf := b.expect(lambda m: m.method == "INFO", 3)) is None:
            break
        b.reply(inf, 200, "OK", tag="b")
        got = [m for m in (p.expect(2) for _ in range(3)) if m and m.cseq_method == "INFO"]
        r.check(f"{what}: forwarded without state", got and got[0].status == 200, got)
        b.send(b.request("MESSAGE", "sip:a@test.ringfort", "<sip:a@test.ringfort>", headers=[f"X-To: {me}"]))
        m = p.expect()
        r.check(f"{what}: a request to the client goes to its proxy", m and m.method == "MESSAGE" and m.get("X-From") == b.hostport, m and m.raw)
        # its proxy moves
        q = Proxy(server, kind, client, port)
        q.send(b"\r\n\r\n")
        sip.wait_until(lambda: any(row["client"] == me and row["proxy"].endswith(f":{q.own}") for row in server.rpc("udp.proxy.dump")), 3)
        b.send(b.request("MESSAGE", "sip:a@test.ringfort", "<sip:a@test.ringfort>", headers=[f"X-To: {me}"]))
        while (m := q.expect()) and m.method != "MESSAGE":
            pass
        r.check(f"{what}: a keepalive by way of another proxy moves it", m, m and m.raw)
        q.close()
    p.close()
    b.close()


def run(r, ctx):
    with ctx.server("server.cfg", defines=["KINDS=3"]) as server:
        for kind in ("v2", "simple"):
            one(r, server, kind, "10.1.2.3", 4321 if kind == "v2" else 4322)
            one(r, server, kind, "2001:db8::7", 4323 if kind == "v2" else 4324)
        plain = sip.Ua(server.host, server.port)
        plain.send(plain.request("OPTIONS", "sip:x@x", "<sip:x@x>"))
        m = plain.expect(200)
        r.check(f"{NAME} without a header it is taken plainly", m and m.get("X-From") == plain.hostport, m and m.raw)
        plain.close()

        # an own check of the proxy: LOCAL
        p = Proxy(server, "v2")
        p.send(p.request("OPTIONS"), SIG + b"\x20\0\0\0")
        m = p.expect()
        r.check(f"{NAME} LOCAL is the proxy itself", m and m.get("X-From") == f"127.0.0.1:{p.own}", m and m.raw)

        n = count(server, "rx_proxy_bad")
        simple = Proxy(server, "simple")
        for what, head in (("half a v2 header", p.head[:30]), ("addresses of streams", p.head[:13] + b"\x11" + p.head[14:]), ("version 3", SIG + b"\x31" + p.head[13:]),
                           ("an extension too long", p.head[:-4] + b"\xff\xff" + p.head[-2:]), ("no client port", p.head[:24] + b"\0\0" + p.head[26:])):
            p.send(p.request("OPTIONS") if "half" not in what else b"", head)
        simple.send(b"", simple.head[:37])
        simple.send(simple.request("OPTIONS"), simple.head[:34] + b"\0\0" + simple.head[36:])
        r.check(f"{NAME} what is wrong is dropped and counted", sip.wait_until(lambda: count(server, "rx_proxy_bad") == n + 7, 3) and p.expect(0.2) is None and simple.expect(0.2) is None,
                count(server, "rx_proxy_bad") - n)
        r.check(f"{NAME} and the log says why", sip.wait_until(lambda: "udp_accept_proxy: datagram from 127.0.0.1:" in server.log_text(), 3))

        rows = server.rpc("udp.proxy.dump")
        stats = server.rpc("udp.proxy.stats")
        r.check(f"{NAME} udp.proxy.dump", sorted((w["client"], w["protocol"]) for w in rows) ==
                [("10.1.2.3:4321", "v2"), ("10.1.2.3:4322", "simple"), ("[2001:db8::7]:4323", "v2"), ("[2001:db8::7]:4324", "simple")], rows)
        r.check(f"{NAME} udp.proxy.stats", stats["real_items"] == 4 and stats["real_buckets"] >= 16, stats)
        r.check(f"{NAME} udp.proxy.clean leaves what is new", server.rpc("udp.proxy.clean") == "0 hash table entries have been flushed.")
        got = server.rpc("udp.proxy.flush")
        r.check(f"{NAME} udp.proxy.flush", got == "4 hash table entries have been flushed." and server.rpc("udp.proxy.dump") == [], got)
        p.close()
        simple.close()
    for kinds, works in ((1, "v2"), (2, "simple"), (0, None)):
        with ctx.server("server.cfg", defines=[f"KINDS={kinds}"]) as server:
            for kind in ("v2", "simple"):
                p = Proxy(server, kind)
                p.send(p.request("OPTIONS"))
                m = p.expect(3 if kind == works else 0.4)
                r.check(f"{NAME} {kinds}: {kind} is {'taken' if kind == works else 'none'}", (m and m.status == 200) if kind == works else not (m and m.status == 200), m and m.raw)
                p.close()
