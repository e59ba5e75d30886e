# SPDX-License-Identifier: BSD-2-Clause
"""Calls through a network that drops every third datagram and doubles every fourth: each completes, by retransmission."""
import itertools
import socket
import threading
import time

import sip


class Lossy:
    """Stands between a user agent and the server, both ways; forgets and repeats by count, not by chance."""

    def __init__(self, server):
        self.server = server
        self.out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.out.bind(("127.0.0.1", 0))
        self.inn = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.inn.bind(("127.0.0.1", 0))
        self.client = None
        self.count = itertools.count(1)
        self.dropped = self.doubled = 0
        for src, dst in ((self.inn, self._up), (self.out, self._down)):
            threading.Thread(target=self._run, args=(src, dst), daemon=True).start()

    def _run(self, src, forward):
        while True:
            try:
                d, peer = src.recvfrom(65536)
            except OSError:
                return
            if src is self.inn:
                self.client = peer
            n = next(self.count)
            if n % 3 == 0:
                self.dropped += 1
                continue
            forward(d)
            if n % 4 == 0:
                self.doubled += 1
                forward(d)

    def _up(self, d):
        self.out.sendto(d, self.server)

    def _down(self, d):
        if self.client:
            self.inn.sendto(d, self.client)

    def close(self):
        self.inn.close()
        self.out.close()


def retransmit(ua, msg, want, seconds=12):
    """As a client does: T1, 2 T1 ... until the answer."""
    wait, end = 0.3, time.monotonic() + seconds
    while time.monotonic() < end:
        ua.send(msg)
        got = ua.expect(want, wait)
        if got:
            return got
        wait = min(wait * 2, 2)
    return None


def run(r, ctx):
    name = "tm/03-losses"
    with ctx.server() as server:
        net = Lossy((server.host, server.port))
        a = sip.Ua("127.0.0.1", net.inn.getsockname()[1], user="alice")
        b = sip.Ua(server.host, server.port, user="bob")
        b.register("bob")
        answered = {}

        def callee(m):
            if m.method == "INVITE":
                answered[m.get("Call-ID")] = answered.get(m.get("Call-ID"), 0) + 1
                b.reply(m, 200, "OK", tag="b")
            elif m.method in ("BYE", "MESSAGE"):
                b.reply(m, 200, "OK", tag="b")
            return False

        b.on = callee
        good = 0
        for i in range(12):
            cid = f"loss-{i}"
            ok = retransmit(a, a.request("INVITE", "sip:bob@test.ringfort", "<sip:bob@test.ringfort>", callid=cid),
                            lambda m: m.status == 200 and m.get("Call-ID") == cid and m.cseq_method == "INVITE")
            if not ok:
                continue
            routes = [f"Route: {v}" for line in reversed(ok.all("Record-Route")) for v in reversed(line.split(","))]
            a.send(a.request("ACK", ok.get("Contact").strip("<>"), ok.get("To"), callid=cid, headers=routes))
            bye = retransmit(a, a.request("BYE", ok.get("Contact").strip("<>"), ok.get("To"), callid=cid, cseq=2, headers=routes),
                             lambda m: m.status == 200 and m.get("Call-ID") == cid and m.cseq_method == "BYE")
            good += bool(bye)
        r.check(f"{name} 12 calls complete", good == 12, f"{good} of 12")
        r.check(f"{name} the network did lose and double", net.dropped > 5 and net.doubled > 3, f"{net.dropped} {net.doubled}")
        got = 0
        for i in range(12):
            cid = f"lossm-{i}"
            got += bool(retransmit(a, a.request("MESSAGE", "sip:bob@test.ringfort", "<sip:bob@test.ringfort>", callid=cid, body="x", ctype="text/plain"),
                                   lambda m: m.status == 200 and m.get("Call-ID") == cid))
        r.check(f"{name} 12 messages get through", got == 12, f"{got} of 12")
        net.close()
        a.close()
        b.close()
