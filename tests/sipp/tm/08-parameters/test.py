# SPDX-License-Identifier: BSD-2-Clause
"""ac_extra_hdrs, fr_timer_avp, fr_inv_timer_avp, add_username, record_route_advertised_address, maddr, reply_to_via."""
import time

import sip


def run(r, ctx):
    name = "tm/08-parameters"
    with ctx.server("server.cfg") as server:
        a = sip.Ua(server.host, server.port, user="alice")
        b = sip.Ua(server.host, server.port, user="bob")
        t = sip.Ua(server.host, server.port, "tcp", listen=True, user="tom")

        def send(method, cid, ruri=None, **kw):
            a.send(a.request(method, ruri or f"sip:bob@{b.hostport}", "<sip:bob@test.ringfort>", callid=cid, **kw))

        def at(ua, method, cid, seconds=5):
            return ua.expect(lambda m: m.method == method and m.get("Call-ID") == cid, seconds)

        def final(cid, seconds=5):
            return a.expect(lambda m: m.status is not None and m.status >= 200 and m.get("Call-ID") == cid and m.cseq_method != "CANCEL", seconds)

        keep = ["X-Keep-One: 1", "X-Other: 2", "X-Keep-Two: a,\r\n b"]
        extra = lambda m: (m.all("X-Keep-One"), m.all("X-Other"), m.all("X-Keep-Two")) == (["1"], [], ["a, b"])
        send("INVITE", "x1", headers=keep, branch="z9hG4bKx1")
        inv = at(b, "INVITE", "x1")
        r.check(f"{name} add_username", f"<sip:bob@{server.host}:{server.port};lr" in inv.get("Record-Route"), inv.get("Record-Route"))
        b.reply(inv, 180, "Ringing", tag="t")
        a.expect(180)
        send("CANCEL", "x1", branch="z9hG4bKx1")
        can = at(b, "CANCEL", "x1")
        r.check(f"{name} ac_extra_hdrs: CANCEL", can and extra(can), can and can.raw)
        b.reply(can, 200, "OK")
        b.reply(inv, 487, "Request Terminated", tag="t")
        ack = at(b, "ACK", "x1")
        r.check(f"{name} ac_extra_hdrs: ACK", ack and extra(ack), ack and ack.raw)
        final("x1")

        for adv, want in (("public.test:5099", "<sip:bob@public.test:5099;"), ("public.test", "<sip:bob@public.test;")):
            cid = "adv" + str(len(adv))
            send("INVITE", cid, headers=[f"X-Advertise: {adv}", f"X-Next: sip:{t.hostport};transport=tcp"])
            inv = at(t, "INVITE", cid)
            if r.check(f"{name} {adv} goes out by TCP", inv):
                rrs = [x.strip() for v in inv.all("Record-Route") for x in v.split(",")]
                r.check(f"{name} {adv} is in both Record-Routes, transport kept", len(rrs) == 2 and all(x.startswith(want) and "r2=on" in x for x in rrs) and
                        "transport=tcp" in rrs[0] and "transport" not in rrs[1], rrs)
                t.reply(inv, 486, "Busy", tag="t")
                final(cid)

        start = time.monotonic()
        send("MESSAGE", "s1", headers=["X-Short: fr"])
        at(b, "MESSAGE", "s1")
        got = final("s1", 4)
        r.check(f"{name} fr_timer_avp", got and got.status == 408 and time.monotonic() - start < 3, got and got.first)
        start = time.monotonic()
        send("INVITE", "s2", headers=["X-Short: inv"])
        inv = at(b, "INVITE", "s2")
        b.reply(inv, 180, "Ringing", tag="t")
        can = at(b, "CANCEL", "s2", 4)
        r.check(f"{name} fr_inv_timer_avp", can and time.monotonic() - start < 3, time.monotonic() - start)
        if can:
            b.reply(can, 200, "OK")
            b.reply(inv, 487, "Request Terminated", tag="t")
        got = final("s2", 4)
        r.check(f"{name} and the caller is told", got and got.status in (408, 487), got and got.first)

        send("MESSAGE", "m1", f"sip:bob@elsewhere.invalid:{b.port};maddr=127.0.0.1")
        m = at(b, "MESSAGE", "m1")
        if r.check(f"{name} maddr is where it goes", m):
            r.check(f"{name} and the Request-URI stays", m.ruri == f"sip:bob@elsewhere.invalid:{b.port};maddr=127.0.0.1", m.ruri)
            b.reply(m, 200, "OK", tag="t")
        final("m1")

        # another socket than the one that the Via names
        req = a.request("OPTIONS", f"sip:{server.host}:{server.port}", "<sip:x@test.ringfort>", callid="v1").replace(f"{a.port};branch".encode(), f"{b.port};branch".encode()).replace(b";rport", b"")
        a.send(req)
        got = b.expect(lambda m: m.status == 200 and m.get("Call-ID") == "v1")
        r.check(f"{name} reply_to_via", got)
        for ua in (a, b, t):
            ua.close()
