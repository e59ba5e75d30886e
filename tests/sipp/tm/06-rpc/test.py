# SPDX-License-Identifier: BSD-2-Clause
"""Transactions from outside: tm.reply, tm.retransmit_reply, requests sent by RPC whose answer is waited for."""
import threading

import sip


def run(r, ctx):
    name = "tm/06-rpc"
    with ctx.server() as server:
        a = sip.Ua(server.host, server.port, user="alice")
        b = sip.Ua(server.host, server.port, user="bob")
        b.register("bob", callid="b1")

        def call(cid):
            a.send(a.request("INVITE", "sip:bob@test.ringfort", "<sip:bob@test.ringfort>", callid=cid))
            inv = b.expect(lambda m: m.method == "INVITE" and m.get("Call-ID") == cid)
            b.reply(inv, 180, "Ringing", tag="t")
            a.expect(lambda m: m.status == 180 and m.get("Call-ID") == cid)
            return inv

        def final(cid):
            return a.expect(lambda m: m.status is not None and m.status >= 200 and m.get("Call-ID") == cid)

        inv = call("r1")
        t = [x for x in server.rpc("tm.list") if x["callid"] == "Call-ID: r1\r\n"][0]
        want = {"from": f"From: {inv.get('From')}\r\n", "to": f"To: {inv.get('To')}\r\n", "cseq": f"CSeq: {inv.get('CSeq').split()[0]}", "method": "INVITE"}
        r.check(f"{name} tm.list has the fields as they came", {k: t[k] for k in want} == want and t["cell"].startswith("0x"), t)
        server.rpc("tm.reply", 480, "From outside", f"{t['tindex']}:{t['tlabel']}", "mytag", "X-Why: rpc\r\nContent-Type: text/plain\r\n", "hello")
        got = final("r1")
        r.check(f"{name} tm.reply answers", got and got.first == "SIP/2.0 480 From outside" and "tag=mytag" in got.get("To") and got.get("X-Why") == "rpc" and
                got.body == b"hello", got and got.raw)
        can = b.expect("CANCEL")
        r.check(f"{name} and what rings is cancelled", can)
        b.reply(can, 200, "OK")
        b.reply(inv, 487, "Request Terminated", tag="t")
        server.rpc("tm.retransmit_reply", f"{t['tindex']}:{t['tlabel']}")
        again = a.expect(lambda m: m.status == 480 and m.get("Call-ID") == "r1")
        r.check(f"{name} tm.retransmit_reply", again and got and again.raw == got.raw)
        call("r2")
        server.rpc("tm.reply_callid", 603, "No", "r2", 1, ".", ".")
        got = final("r2")
        r.check(f"{name} tm.reply_callid", got and got.status == 603 and "tag=" in got.get("To"), got and got.first)
        for method, params, code in (("tm.reply", (480, "x", "1:2", "t", "."), 481), ("tm.reply", (480, "x", "nonsense", "t", "."), 400),
                                     ("tm.reply_callid", (480, "x", "r2", 1, ".", "."), 500), ("tm.retransmit_reply", ("1:2",), 481)):
            try:
                server.rpc(method, *params)
                r.check(f"{name} {method} {params} fails", False)
            except RuntimeError as e:
                r.check(f"{name} {method} {params} fails with {code}", f"'code': {code}" in str(e), e)
        r.check(f"{name} tm.clean", server.rpc("tm.clean") in (None, "", [], {}), server.rpc("tm.clean"))

        both = "From: <sip:me@x>\r\nTo: <sip:bob@x>\r\n"
        for headers, body, why in (("xx", None, "headers"), ("", None, "From"), ("To: <sip:bob@x>\r\n", None, "From"), ("From: <sip:me@x>\r\nTo: bad<sip:\r\n", None, "To"),
                                   (both + "X: a\r\n\r\nfalse", None, "Call-ID"),
                                   (both + "Call-ID: 1\r\nCSeq: 1 OPTIONS\r\n\r\nfalse", None, "empty line"), (both + "Via: SIP/2.0/UDP 192.0.2.1\r\n", None, "Via"),
                                   (both + "CSeq: 7 FOO\r\n", None, "CSeq"), (both + "Content-Length: 4\r\n", "hello", "Content-Length"),
                                   (both + "CSeq: 1 OPTIONS\r\nCSeq: 2 OPTIONS\r\n", None, "CSeq")):
            try:
                server.rpc("tm.t_uac_start", "OPTIONS", f"sip:bob@{b.hostport}", ".", ".", headers, *([body] if body else []))
                r.check(f"{name} no request is made of {headers!r}", False)
            except RuntimeError as e:
                r.check(f"{name} no request is made of {headers!r}", "'code': 400" in str(e) and "Invalid headers" in str(e) and why in str(e), e)
        try:
            server.rpc("tm.t_uac_start", "OPTIONS", f"sip:bob@{b.hostport}")
            r.check(f"{name} parameters are missing", False)
        except RuntimeError as e:
            r.check(f"{name} parameters are missing", "'code': 400" in str(e) and "too few parameters (2/5)" in str(e), e)
        server.rpc("tm.t_uac_start", "MESSAGE", f"sip:bob@{b.hostport}", ".", ".", both + "Content-Length: 5\r\nContent-Type: text/plain", "hello")
        m = b.expect(lambda m: m.method in ("OPTIONS", "MESSAGE"))
        r.check(f"{name} what was refused was not sent; what the caller gives is not added again", m and m.method == "MESSAGE" and m.all("Content-Length") == ["5"] and m.body == b"hello",
                m and m.raw)
        r.check(f"{name} From gets the tag that it lacks", m and len(m.get("From").partition(";tag=")[2]) >= 8 and m.get("To") == "<sip:bob@x>", m and m.raw)
        b.reply(m, 200, "OK")

        def ask(method, out, uri=None):
            out.append(server.rpc(method, "OPTIONS", uri or f"sip:bob@{b.hostport}", ".", ".", "From: <sip:me@x>;tag=1\r\nTo: <sip:bob@x>\r\n", timeout=20))

        for method, want in (("tm.t_uac_wait_block", lambda v: v == {"code": 202, "text": "Fine"}),
                             ("tm.t_uac_wait", lambda v: v[:3] == [202, "Fine", "."] and "X-B: 1" in v[5])):
            out = []
            th = threading.Thread(target=ask, args=(method, out))
            th.start()
            m = b.expect("OPTIONS")
            r.check(f"{name} {method} sends", m)
            r.check(f"{name} {method} others are served meanwhile", server.rpc("core.version"))
            b.reply(m, 202, "Fine", headers=["X-B: 1"])
            th.join(10)
            r.check(f"{name} {method} answers", out and want(out[0]), out)
        out = []
        ask("tm.t_uac_wait_block", out, "sip:bob@127.0.0.1:9")
        r.check(f"{name} nobody there", out and out[0]["code"] in (408, 477), out)
        a.close()
        b.close()
