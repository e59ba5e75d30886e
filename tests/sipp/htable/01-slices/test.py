# SPDX-License-Identifier: BSD-2-Clause
"""What goes over a whole table does so in slices: the one worker answers others meanwhile, results are those of a walk in one go.
HTABLE_ITEMS=1000000 and --keep print the times for a table of that size."""
import os
import socket
import threading
import time

import sip

ITEMS = int(os.environ.get("HTABLE_ITEMS", 200000))


class Bystander(threading.Thread):
    """OPTIONS one after the other; when each was sent and how long its answer took."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.times, self.over = [], False
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.connect((server.host, server.port))
        self.sock.settimeout(20)
        self.port = self.sock.getsockname()[1]

    def run(self):
        n = 0
        while not self.over:
            n += 1
            at = time.monotonic()
            self.sock.send((f"OPTIONS sip:by SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{self.port};branch=z9hG4bKby{n}\r\nFrom: <sip:by@by>;tag=1\r\n"
                            f"To: <sip:by>\r\nCall-ID: by{n}\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n").encode())
            self.sock.recv(65536)
            self.times.append((time.monotonic() - at) * 1000)
            time.sleep(0.0005)

    def end(self):
        self.over = True
        self.join(30)
        self.sock.close()


def run(r, ctx):
    name = "htable/01-slices"
    with ctx.server("server.cfg", args=["-m", "1024"]) as server:
        ua = sip.Ua(server.host, server.port)

        def ask(user, headers=(), status=200):
            got = None
            ua.send(ua.request("MESSAGE", f"sip:{user}@test.ringfort", "<sip:x@test.ringfort>", callid=f"{user}-{time.monotonic_ns()}", headers=headers))
            got = ua.expect(status, 60)
            return got and [got.get("X-Result"), got.get("X-Text")]

        def beside(what, fn, want, stall_ok=False):
            by = Bystander(server)
            by.start()
            sip.wait_until(lambda: len(by.times) > 20)
            del by.times[:]
            t = time.monotonic()
            got = fn()
            took = (time.monotonic() - t) * 1000
            by.end()
            by.times = sorted(by.times) or [0.0]
            print(f"  {what}: {took:.0f} ms, meanwhile {len(by.times)} OPTIONS, median {by.times[len(by.times) // 2]:.2f} ms, p99 {by.times[int((len(by.times) - 1) * 0.99)]:.2f} ms, slowest {by.times[-1]:.2f} ms")
            r.check(f"{name}: {what}", got == want, f"{got}, expected {want}")
            if not stall_ok:
                # in one go somebody waits for all of it; a slice takes 0.3 ms, the rest is the noise of a shared machine
                r.check(f"{name}: nobody waits for {what}", by.times[-1] < max(30, took / 2), f"{by.times[-1]:.1f} ms of {took:.0f} ms")

        def digit(fn):
            return sum(1 for i in range(ITEMS) if fn(str(i)))

        def in_parts(user):
            for i in range(0, ITEMS, 5000):
                ask(user, [f"X-From: {i}"])

        in_parts("fill")
        r.check(f"{name}: the table is full", server.rpc("htable.stats", timeout=30)[0]["all"] == ITEMS, server.rpc("htable.stats", timeout=30))
        beside("a match that is none", lambda: ask("match"), ["-1 0", None])
        beside("a match by a pattern", lambda: ask("match-last"), ["1 0", None])
        beside("a pattern that is none", lambda: ask("bad-re"), ["-1 0", None])
        beside("$shtcn", lambda: ask("count", ["X-Digit: 3"]), [f"1 {digit(lambda s: s.startswith('3'))}", None])
        nines = digit(lambda s: s.endswith("9"))
        beside("$shtcn and $shtcv in one expression", lambda: ask("count-twice"), [f"1 {nines}", str(nines)], stall_ok=True)
        beside("an iterator over all", lambda: ask("iterate"), [f"1 {ITEMS}", None])
        beside("an iterator over empty slots", lambda: ask("iterate-empty"), ["1 1", None])

        # several at once, each with a pattern of its own
        def several():
            for i in range(1, 6):
                ua.send(ua.request("MESSAGE", "sip:count@test.ringfort", "<sip:x@test.ringfort>", callid=f"several-{i}", headers=[f"X-Digit: {i}"]))
            got = {}
            for _ in range(5):
                m = ua.expect(200, 60)
                got[m.get("Call-ID")] = m.get("X-Result")
            return got
        beside("five at once", several, {f"several-{i}": f"1 {digit(lambda s: s.startswith(str(i)))}" for i in range(1, 6)})

        # where it cannot wait it is right all the same: the reply is dropped
        ua.send(ua.request("MESSAGE", "sip:onsend@test.ringfort", "<sip:x@test.ringfort>", callid="onsend"))
        r.check(f"{name}: onsend_route decides in one go", ask("match") == ["-1 0", None] and not ua.expect(299, 0.1), "the reply was sent")

        beside("sht_rm_name_re", lambda: ask("rm-name-re"), ["1 0", None])
        left = digit(lambda s: not s.endswith("7"))
        r.check(f"{name}: what does not match stays", ask("count", ["X-Digit: "]) == [f"1 {left}", None], left)
        beside("sht_rm_value", lambda: ask("rm-value"), ["1 0", None])
        left -= digit(lambda s: s.endswith("8"))
        r.check(f"{name}: and there too", ask("count", ["X-Digit: "]) == [f"1 {left}", None], left)

        # all expire within a second or two; a round of the timer takes one
        in_parts("age")
        beside("expiry", lambda: sip.wait_until(lambda: server.rpc("htable.stats", timeout=30)[2]["all"] == 0, 20), True)

        beside("htable.stats", lambda: server.rpc("htable.stats", timeout=30)[0]["all"], left)
        beside("sht_reset", lambda: ask("reset"), ["1 0", None])
        r.check(f"{name}: then the table is empty", server.rpc("htable.stats", timeout=30)[0]["all"] == 0, server.rpc("htable.stats", timeout=30))
        for i in range(300):
            server.rpc("htable.seti", "big", f"k{i}", i)
        dump = server.rpc("htable.dump", "big")
        got = {item["name"]: item["value"] for slot in dump for item in slot["slot"]}
        r.check(f"{name}: a dump in pieces has all", got == {f"k{i}": i for i in range(300)} and all(s["size"] == len(s["slot"]) for s in dump), len(got))
        r.check(f"{name}: an empty dump is a list", server.rpc("htable.dump", "old") == [], server.rpc("htable.dump", "old"))
        r.check(f"{name}: htable.flush", server.rpc("htable.flush", "big") == "Ok. Htable flushed." and server.rpc("htable.dump", "big") == [], "")
        ua.close()
