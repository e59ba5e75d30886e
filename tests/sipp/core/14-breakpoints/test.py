# SPDX-License-Identifier: BSD-2-Clause
"""Module debugger: a run that stops at breakpoints stops nobody else; what the commands show, in the words of Kamailio 5.6.3; dumps; levels of modules."""
import json
import os
import re
import signal
import threading

import sip

NAME = "core/14-breakpoints"


def fault(server, *call):
    try:
        return "no fault: " + str(server.rpc(*call))
    except RuntimeError as e:
        return str(e)


def message(ua, cid):
    ua.send(ua.request("MESSAGE", "sip:x@127.0.0.1", "<sip:x@127.0.0.1>", callid=cid, headers=["User-Agent: me"]))


def waiting(server, pid):
    return server.rpc("dbg.ls", pid)[0]["state"]


def stopping(r, ctx):
    with ctx.server("server.cfg", defines=["LEVEL=0"]) as server:
        a, b = sip.Ua(server.host, server.port), sip.Ua(server.host, server.port)
        pid = server.workers()[0]
        r.check(f"{NAME} nothing is on", [(p["set"], p["state"]) for p in server.rpc("dbg.ls")] == [(0, 0)] * len(server.rpc("dbg.ls")))
        r.check(f"{NAME} on", server.rpc("dbg.bp", "on", pid) == "200 ok" and server.rpc("dbg.ls", pid)[0]["set"] == 2)
        message(a, "stops")
        r.check(f"{NAME} it stops", sip.wait_until(lambda: waiting(server, pid) == 1, 5), server.rpc("dbg.ls", pid))
        r.check(f"{NAME} and is told", sip.wait_until(lambda: re.search(rf"breakpoint hit: p=\[{pid}\] c=\[.*server.cfg\] l=\d+ a=16 n=if", server.log_text()), 3), server.log_text()[-500:])
        first = server.rpc("dbg.bp", "show", pid)
        at = re.fullmatch(r"at bkp \[(.*server.cfg):(\d+)\] a=16 n=if", first)
        r.check(f"{NAME} show", at, first)
        src = open(at[1]).read().split("\n")
        r.check(f"{NAME} show: the line", 'if ($rm == "OPTIONS")' in src[int(at[2]) - 1], src[int(at[2]) - 1])
        r.check(f"{NAME} off for new ones", server.rpc("dbg.bp", "off", pid) == "200 ok" and waiting(server, pid) == 1)
        r.check(f"{NAME} the worker serves others", all(sip.options(server.host, server.port) == 200 for _ in range(20)))
        message(b, "passes")
        r.check(f"{NAME} another message of the same worker is answered", b.expect(202, 3) and waiting(server, pid) == 1 and a.expect(lambda m: True, 0.05) is None)
        for what, want in (("$rm", "$rm : t=str v=MESSAGE"), ("$ci", "$ci : t=str v=stops"), ("$var(x)", "$var(x) : t=int v=0"), ("$avp(a)", "$avp(a) : t=null"), ("$(ru{s.len})", "$(ru{s.len}) : t=int v=15")):
            r.check(f"{NAME} eval {what}", server.rpc("dbg.bp", "eval", pid, what) == want, server.rpc("dbg.bp", "eval", pid, what))
        r.check(f"{NAME} eval of what is no variable", "cannot parse" in fault(server, "dbg.bp", "eval", pid, "$nosuch(x)"), fault(server, "dbg.bp", "eval", pid, "$nosuch(x)"))
        r.check(f"{NAME} log", server.rpc("dbg.bp", "log", pid, "$ci") == "200 ok" and sip.wait_until(lambda: "$ci : t=str v=stops" in server.log_text(), 3))
        words = []
        for _ in range(3):
            got = server.rpc("dbg.bp", "next", pid)
            words.append(got.rsplit("n=", 1)[1])
            r.check(f"{NAME} next stops again", sip.wait_until(lambda: waiting(server, pid) == 1, 5))
        r.check(f"{NAME} next", words == ["if", "assign", "assign"], words)
        r.check(f"{NAME} what was done is seen", server.rpc("dbg.bp", "eval", pid, "$var(x)") == "$var(x) : t=int v=1" and server.rpc("dbg.bp", "eval", pid, "$avp(a)") == "$avp(a) : t=str v=one")
        r.check(f"{NAME} move", server.rpc("dbg.bp", "move", pid) == "200 ok" and a.expect(202, 3) and waiting(server, pid) == 0)
        server.rpc("dbg.bp", "on")
        message(a, "anchor")
        r.check(f"{NAME} stops with all on", sip.wait_until(lambda: waiting(server, pid) == 1, 5))
        server.rpc("dbg.bp", "move", pid)
        r.check(f"{NAME} dbg_breakpoint() stops who moves", sip.wait_until(lambda: waiting(server, pid) == 1 and server.rpc("dbg.bp", "show", pid).endswith("a=25 n=dbg_breakpoint"), 5))
        message(b, "second")
        r.check(f"{NAME} two wait", sip.wait_until(lambda: waiting(server, pid) == 2, 5), server.rpc("dbg.ls", pid))
        server.rpc("dbg.bp", "move", pid)
        r.check(f"{NAME} the oldest goes on", a.expect(202, 3) and waiting(server, pid) == 1 and b.expect(lambda m: True, 0.05) is None)
        r.check(f"{NAME} release spares who waits", server.rpc("dbg.bp", "release") == "200 ok" and server.rpc("dbg.ls", pid)[0]["set"] == 2)
        r.check(f"{NAME} keep", server.rpc("dbg.bp", "keep", pid) == "200 ok" and [p["pid"] for p in server.rpc("dbg.ls") if p["set"]] == [pid])
        server.rpc("dbg.bp", "off")
        server.rpc("dbg.bp", "move", pid)
        r.check(f"{NAME} all go on", b.expect(202, 3) and sip.options(server.host, server.port) == 200)
        for call, says in ((("dbg.bp",), "Config breakpoint command missing"), (("dbg.bp", "show"), "Missing pid parameter"), (("dbg.bp", "foo", pid), "Unknown inner command"),
                           (("dbg.bp", "show", 1), "No such pid"), (("dbg.bp", "show", pid), "not at a breakpoint"), (("dbg.bp", "log", pid), "pv param missing"), (("dbg.bp", "keep"), "Missing pid parameter")):
            r.check(f"{NAME} {' '.join(map(str, call))}", says in fault(server, *call), fault(server, *call))
        a.close()
        b.close()


def outgoing(r, ctx):
    """What is about to be written cannot wait: its routes stop nowhere."""
    with ctx.server("server.cfg", defines=["LEVEL=0", "WIRE"]) as server:
        a = sip.Ua(server.host, server.port)
        pid = server.workers()[0]
        server.rpc("dbg.bp", "on", pid)
        message(a, "wire")
        r.check(f"{NAME} what came stops before it is read", sip.wait_until(lambda: waiting(server, pid) == 1, 5) and "n=" in server.rpc("dbg.bp", "show", pid))
        server.rpc("dbg.bp", "move", pid)
        r.check(f"{NAME} and in the script", sip.wait_until(lambda: waiting(server, pid) == 1 and "dbg_breakpoint" in server.rpc("dbg.bp", "show", pid), 5), server.rpc("dbg.ls", pid))
        server.rpc("dbg.bp", "move", pid)
        r.check(f"{NAME} the answer leaves all the same", a.expect(202, 3) and waiting(server, pid) == 0, server.log_text()[-500:])
        server.rpc("dbg.bp", "off")
        a.close()


def death(r, ctx):
    """Who waits for a process's answer hears of its death."""
    with ctx.server("server.cfg", defines=["LEVEL=0"]) as server:
        a = sip.Ua(server.host, server.port)
        pid = server.workers()[0]
        server.rpc("dbg.bp", "on", pid)
        message(a, "dies")
        r.check(f"{NAME} it stops", sip.wait_until(lambda: waiting(server, pid) == 1, 5) and server.rpc("dbg.bp", "show", pid))
        os.kill(pid, signal.SIGSTOP)
        said = []
        asking = threading.Thread(target=lambda: said.append(fault(server, "dbg.bp", "eval", pid, "$ci")))
        asking.start()
        sip.wait_until(lambda: server.rpc("dbg.ls", pid)[0]["in.pid"] != 0, 2)
        os.kill(pid, signal.SIGKILL)
        asking.join(10)
        r.check(f"{NAME} its death is told", said and "the process died" in said[0], said)
        server.rpc("dbg.bp", "off")
        r.check(f"{NAME} nothing waits in the next", sip.wait_until(lambda: sip.options(server.host, server.port) == 200, 5) and waiting(server, server.workers()[0]) == 0)
        a.close()


def texts(r, ctx):
    with ctx.server("server.cfg", defines=["LEVEL=3", "TRACE", "ASSIGN"]) as server:
        a = sip.Ua(server.host, server.port)
        message(a, "dumped")
        r.check(f"{NAME} answered", a.expect(202, 3))
        sip.wait_until(lambda: "END OF SIP message" in server.log_text(), 3)
        log = server.log_text()
        r.check(f"{NAME} cfgtrace_format 1", re.search(r"cfgtrace:dbg_cfg_trace\(\): request_route=\[SUB\] l=\d+ a=63 n=assign", log) and "c=[" not in log, log[-300:])
        got = json.loads(re.search(r"ERROR: (\{.*\})", log)[1])
        want = {"$var(x)": 1, "$avp(a)": ["t\"wo", "one"], "$xavp(v)": [{"g": ["gg"]}, {"f": [3]}], "$rm": "MESSAGE", "$var(none)": 0}
        r.check(f"{NAME} dbg_pv_dump", {k: got.get(k) for k in want} == want, got)
        lines = log[log.index("CONFIG LINE"):log.index("SIP header diffs")].split("\n")
        r.check(f"{NAME} dbg_sip_msg: the message", "| P-Hint: My hint" in [x.strip() for x in lines] and not any("User-Agent" in x for x in lines), lines)
        diffs = log[log.index("SIP header diffs"):log.index("SIP body diffs")]
        r.check(f"{NAME} dbg_sip_msg: the changes", "| - User-Agent: me" in diffs and "| P-Hint: My hint" in diffs, diffs)
        for line in ('$var(x):1', '$avp(a):"one"', '$xavp(v=>f):3', '$xavp(v=>g):"gg"', '$var(none):$null', '$var(x):2'):
            r.check(f"{NAME} log_assign {line}", sip.wait_until(lambda: f"DEBUG: {line}" in server.log_text(), 2))
        a.close()


def levels(r, ctx):
    with ctx.server("server.cfg", defines=["LEVEL=0", "LEVELS"]) as server:
        a = sip.Ua(server.host, server.port)
        marks = lambda: [int(x) for x in re.findall(r"@@debug mi=(\d+)@@", server.log_text())]

        def one(cid):
            n = len(marks())
            message(a, cid)
            r.check(f"{NAME} {cid} answered", a.expect(202, 3))
            return n

        n = one("debug")
        r.check(f"{NAME} a module's own level shows more", sip.wait_until(lambda: len(marks()) == n + 1, 3))
        r.check(f"{NAME} get", [server.rpc("dbg.get_mod_level", m) for m in ("xlog", "tm", "sl", "core")] == [3, -2, 0, 0])
        server.rpc("dbg.set_mod_level", "xlog", 0)
        n = one("less")
        sip.options(server.host, server.port)
        r.check(f"{NAME} less again", server.rpc("dbg.get_mod_level", "xlog") == 0 and len(marks()) == n)
        server.rpc("dbg.mod_level", "xlog", 3)
        server.rpc("cfg.seti", "dbg", "mod_level_mode", 0)
        n = one("off")
        r.check(f"{NAME} mod_level_mode 0", server.rpc("dbg.get_mod_level", "xlog") == 0 and len(marks()) == n)
        server.rpc("cfg.seti", "dbg", "mod_level_mode", 1)
        r.check(f"{NAME} facility", [server.rpc("dbg.get_mod_facility", m) for m in ("tm", "sl")] == ["LOG_LOCAL2", "LOG_DAEMON"] and server.rpc("dbg.set_mod_facility", "tm", "LOG_LOCAL3") == "200 ok"
                and server.rpc("dbg.get_mod_facility", "tm") == "LOG_LOCAL3")
        for call, says in ((("dbg.set_mod_facility", "tm", "NOPE"), "facility not found"), (("dbg.set_mod_level", "tm"), "invalid parameters"), (("dbg.get_mod_level",), "invalid parameters")):
            r.check(f"{NAME} {' '.join(call)}", says in fault(server, *call), fault(server, *call))
        r.check(f"{NAME} cfg.get dbg", server.rpc("cfg.get", "dbg") == {"mod_hash_size": 5}, server.rpc("cfg.get", "dbg"))
        server.rpc("dbg.reset_msgid")
        n = one("reset")
        r.check(f"{NAME} reset_msgid", sip.wait_until(lambda: marks()[n:] == [1], 3), marks())
        n = one("counts on")
        r.check(f"{NAME} and counts on", sip.wait_until(lambda: len(marks()) > n and marks()[-1] > 1, 3), marks())
        a.close()


def run(r, ctx):
    stopping(r, ctx)
    outgoing(r, ctx)
    death(r, ctx)
    texts(r, ctx)
    levels(r, ctx)
