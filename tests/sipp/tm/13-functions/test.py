# SPDX-License-Identifier: BSD-2-Clause
"""t_forward_nonack_to, t_replicate_to, failure_exec_mode, t_save_lumps, t_next_contact_flow."""
import sip

INSTANCE = '+sip.instance="<urn:uuid:00000000-0000-0000-0000-000000000001>"'


def run(r, ctx):
    name = "tm/13-functions"
    for mode in (0, 1):
        with ctx.server("server.cfg", defines=[f"EXEC_MODE={mode}"]) as server:
            a = sip.Ua(server.host, server.port, user="alice")

            def final(cid, seconds=5):
                return a.expect(lambda m: m.status is not None and m.status >= 200 and m.get("Call-ID") == cid, seconds)

            def send(cid, user, *headers):
                a.send(a.request("MESSAGE", f"sip:{user}@test.ringfort", "<sip:x@test.ringfort>", callid=cid, headers=headers))

            for why, hop in (("no such name", "sip:nobody.invalid"), ("no socket for it", "sip:127.0.0.1:9;transport=tls")):
                cid = f"f{mode}{hop}"
                send(cid, "lost", f"X-Next: {hop}")
                got = final(cid, 20)
                if mode:
                    r.check(f"{name} failure_exec_mode 1, {why}: the failure route runs", got and got.first == "SIP/2.0 480 In the failure route", got and got.first)
                else:
                    r.check(f"{name} failure_exec_mode 0, {why}: t_relay() says so", got and got.first == "SIP/2.0 503 relay said no", got and got.first)
            if mode == 1:
                a.close()
                continue
            b, c = sip.Ua(server.host, server.port, user="bob"), sip.Ua(server.host, server.port, user="carol")
            t = sip.Ua(server.host, server.port, "tcp", listen=True, user="tom")
            send("n1", "to", "X-Proto: tcp", f"X-To: {t.hostport}")
            m = t.expect("MESSAGE")
            r.check(f"{name} t_forward_nonack_to(tcp)", m)
            t.reply(m, 200, "OK", tag="t")
            r.check(f"{name} and its answer", final("n1"))
            send("n2", "to", "X-Proto: carrier", f"X-To: {b.hostport}")
            got = final("n2")
            r.check(f"{name} no such transport", got and got.status == 500, got and got.first)
            send("n3", "replicate", "X-Proto: udp", f"X-To: {b.hostport}")
            m = b.expect("MESSAGE")
            r.check(f"{name} t_replicate_to(udp)", m)
            b.reply(m, 200, "OK", tag="b")
            r.check(f"{name} whose answer is swallowed", final("n3", 0.5) is None)
            send("n4", "lumps", f"X-To: {b.hostport}", f"X-To2: {c.hostport}")
            m = b.expect("MESSAGE")
            b.reply(m, 486, "Busy", tag="b")
            m2 = c.expect("MESSAGE")
            r.check(f"{name} t_save_lumps", m.get("X-Lump") == "kept" and m2 and m2.all("X-Lump") == ["kept"], m2 and m2.raw)
            c.reply(m2, 200, "OK", tag="c")
            final("n4")

            for what, want in (("nothing", "486 Busy"), ("dns", "486 Busy"), ("drop", "500 I'm terribly sorry, server error occurred (1/TM)"),
                               ("drop-dns", "478 Unresolvable destination (478/TM)")):
                send("a" + what, "after-" + what, f"X-To: {b.hostport}")
                b.reply(b.expect("MESSAGE"), 486, "Busy", tag="b")
                got = final("a" + what, 20)
                r.check(f"{name} after a failure route that did {what}", got and got.first == "SIP/2.0 " + want, got and got.first)

            for ua, q, more in ((b, "0.9", ";" + INSTANCE), (c, "0.5", ";" + INSTANCE)):
                got = ua.register("phone", contact=f"<{ua.contact}>;q={q}{more};reg-id={1 if ua is b else 2}", callid=f"reg-{q}", headers=["Supported: path, outbound"])
                r.check(f"{name} flow registered", got and got.status == 200, got and got.raw)
            send("n5", "phone")
            m = b.expect("MESSAGE")
            r.check(f"{name} one flow of a phone", m and c.expect("MESSAGE", 0.3) is None)
            b.reply(m, 430, "Flow Failed", tag="b")
            m = c.expect("MESSAGE")
            r.check(f"{name} t_next_contact_flow", m and m.ruri == c.contact, m and m.first)
            if m:
                c.reply(m, 200, "OK", tag="c")
            got = final("n5")
            r.check(f"{name} and its answer counts", got and got.status == 200, got and got.first)
            for ua in (a, b, c, t):
                ua.close()
