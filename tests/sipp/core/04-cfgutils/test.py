# SPDX-License-Identifier: BSD-2-Clause
"""Module cfgutils: codes of its functions and RPC (the same on Kamailio 5.6.3); and messages that wait for a lock without holding up a worker (ours
only: there each that waits holds a process)."""
import hashlib
import os
import tempfile
import time

import sip

CODES = "1 -1 1 1 1 -1 p10 1 1 1 10 h1 2 114 30749 r1 -1 7 -1 l1 1 1 1 w1 s1 R"
RPC = [("is_gflag", (4,), "TRUE"), ("is_gflag", (2,), "FALSE"), ("get_gflags", (), "0x5 (5)"), ("set_gflag", (2,), {}), ("get_gflags", (), "0x7 (7)"),
       ("reset_gflag", (1,), {}), ("get_gflags", (), "0x6 (6)"), ("is_gflag", (), "Invalid Parameters"), ("set_gflag", (-1,), {}), ("get_gflags", (), "0xFFFFFFFF (4294967295)"), ("reset_gflag", (0xfffffff9,), {}),
       ("rand_set_prob", (50,), {}),
       ("rand_get_prob", (), "actual probability: 50 percent"), ("rand_set_prob", (101,), "Invalid Percent"), ("rand_reset_prob", (), {}),
       ("rand_get_prob", (), "actual probability: 10 percent")]
# ours: Kamailio cuts them to 32 bits
WRONG = [("set_gflag", (1 << 32,), "Parameter 1: 4294967296 is not in -2147483648 to 4294967295"), ("reset_gflag", (-(1 << 31) - 1,), "is not in"),
         ("get_gflags", (), "0x6 (6)")]


def run(r, ctx):
    name = "core/04-cfgutils"
    ours = "kamailio" not in ctx.program
    with tempfile.NamedTemporaryFile("w", prefix="ringfort-hash-") as f:
        f.write("first")
        f.flush()
        with ctx.server("server.cfg", defines=[f'HASH_FILE="{f.name}"']) as server:
            a = sip.Ua(server.host, server.port)

            def ask(user, cid):
                a.send(a.request("OPTIONS", f"sip:{user}@test.ringfort", "<sip:x@test.ringfort>", callid=cid))

            def got(cid, seconds=5.0):
                m = a.expect(lambda m: m.status == 200 and m.get("Call-ID") == cid, seconds)
                return m and m.get("X-Out")

            ask("codes", "c1")
            v = got("c1")
            r.check(f"{name} codes", v == CODES, v)
            ask("hold", "h1")
            r.check(f"{name} taken", sip.wait_until(lambda: (ask("try", f"t{time.time()}"), a.expect(lambda m: m.status == 200 and m.get("X-Out") == "busy", 0.1))[1], 0.35), "")
            if ours:
                for i in range(20):
                    ask("wait", f"w{i}")
                ask("try", "t2")
                v = got("t2", 0.3)
                r.check(f"{name} twenty that wait hold up no worker", v == "busy", v)
            r.check(f"{name} the holder ends", got("h1") == "held")
            if ours:
                r.check(f"{name} all that wait get it, one after the other", all(got(f"w{i}") == "waited" for i in range(20)))
            ask("try", "t3")
            v = got("t3")
            r.check(f"{name} free in the end", v == "got", v)
            for method, params, want in RPC + WRONG * ours:
                try:
                    v = server.rpc(f"cfgutils.{method}", *params)
                except RuntimeError as e:
                    v = str(e)
                r.check(f"{name} rpc {method} {params}", v == want or (isinstance(v, str) and isinstance(want, str) and want in v), v)
            r.check(f"{name} rpc get_config_hash", server.rpc("cfgutils.get_config_hash") == hashlib.md5(b"first").hexdigest())
            r.check(f"{name} the file is as it was", server.rpc("cfgutils.check_config_hash") == "Identical hash")
            f.write(" second")
            f.flush()
            r.check(f"{name} and then it is not", server.rpc("cfgutils.check_config_hash") == "Different hash")
            if ours:  # what is no file any more must not hold rpcd up
                os.unlink(f.name)
                os.mkfifo(f.name)
                try:
                    v = server.rpc("cfgutils.check_config_hash", timeout=3)
                except (OSError, RuntimeError) as e:
                    v = str(e)
                r.check(f"{name} a FIFO in its place is not waited for", "Failed to hash the file: not a regular file" in v, v)
            a.close()
