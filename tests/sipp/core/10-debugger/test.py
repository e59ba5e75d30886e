# SPDX-License-Identifier: BSD-2-Clause
"""Module debugger: the actions of a request in the words and numbers of Kamailio 5.6.3, on and off by RPC, per process.
Two actions are not compared: there, a switch over texts is a "block", and an assignment to $ru shows a second line."""
import re

import sip

WANT = """if is_method seturi sethostport sethostporttrans setport setuser setuserpass prefix strip striptail setuserphone reverturi unknown unknown set_adv_addr
set_adv_port add_local_rport udp_mtu_try_proto force_tcp_alias set_fwd_no_connect set_rpl_no_connect set_fwd_close set_rpl_close setflag resetflag isflagset log
error unknown has_totag is_method xlog xlog core_hash if has_totag is_method if is_method assign while exit exit assign is_method if if isflagset if assign assign route exit
drop""".split()
NUMBERS = {"if": 16, "is_method": 25, "seturi": 12, "has_totag": 24, "core_hash": 27, "assign": 63, "while": 23, "route": 5, "drop": 2, "setflag": 39}
LINE = re.compile(r" exec: \*\*\* cfgtrace:dbg_cfg_trace\(\): request_route=\[(\w*)\] c=\[([^]]*)\] l=(\d+) a=(\d+) n=(\w+)")


def run(r, ctx):
    name = "core/10-debugger"
    with ctx.server("server.cfg") as server:
        a = sip.Ua(server.host, server.port)
        lines = lambda: [m.groups() for m in LINE.finditer(server.log_text())]
        a.send(a.request("MESSAGE", "sip:x@127.0.0.1", "<sip:x@127.0.0.1>", callid="one"))
        sip.wait_until(lambda: lines() and lines()[-1][4] == "drop", 5)
        got = [x for x in lines() if x[4] not in ("switch", "block") and x[0]]
        got = got[[x[4] for x in got].index("seturi") - 2:]  # the lines of the OPTIONS that waited for the server come first
        r.check(f"{name} words", [x[4] for x in got] == WANT, [x[4] for x in got])
        r.check(f"{name} numbers", all(NUMBERS.get(x[4], int(x[3])) == int(x[3]) for x in got), got)
        r.check(f"{name} routes", {x[0] for x in got} == {"DEFAULT_ROUTE", "B"} and all(x[1].endswith("server.cfg") for x in got), got)
        src = open(got[0][1]).read().split("\n")
        r.check(f"{name} lines", all(x[4] in src[int(x[2]) - 1] for x in got if x[4] in ("has_totag", "is_method", "setflag", "prefix", "xlog", "core_hash", "drop")), got)
        r.check(f"{name} off", server.rpc("dbg.trace", "off") == "200 ok")
        n = len(lines())
        r.check(f"{name} silent then", sip.options(server.host, server.port) == 200 and sip.options(server.host, server.port) == 200 and len(lines()) == n)
        for params, says in ((("foo",), "Unknown trace command"), ((), "Config trace command missing")):
            try:
                said = server.rpc("dbg.trace", *params)
            except RuntimeError as e:
                said = str(e)
            r.check(f"{name} {says}", says in str(said), said)
        r.check(f"{name} on", server.rpc("dbg.trace", "on") == "200 ok" and sip.options(server.host, server.port) == 200 and sip.wait_until(lambda: len(lines()) > n, 5))
        a.close()
