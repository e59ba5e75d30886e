# SPDX-License-Identifier: BSD-2-Clause
"""INVITE as a request of our own: who is acknowledged how, cancelling, time-outs, bodies in hex."""
import threading

import sip

HEAD = "From: <sip:me@here>;tag=1\r\nTo: <sip:bob@there>\r\nContact: <sip:me@127.0.0.1>\r\n"


def run(r, ctx):
    name = "tm/12-own-invite"
    with ctx.server("server.cfg") as server:
        a = sip.Ua(server.host, server.port, user="alice")
        b = sip.Ua(server.host, server.port, user="bob")
        c = sip.Ua(server.host, server.port, user="carol")  # what the dialog's route leads to

        def start(method, cid, *more, invite="INVITE", attrs=(), body=()):
            out = []

            def work():
                try:
                    out.append(server.rpc(method, *attrs, invite, f"sip:bob@{b.hostport}", ".", ".", HEAD + f"Call-ID: {cid}\r\n", *body, timeout=20))
                except RuntimeError as e:
                    out.append(str(e))
            th = threading.Thread(target=work)
            th.start()
            return th, out

        def at(ua, method, cid, seconds=5):
            return ua.expect(lambda m: m.method == method and m.get("Call-ID") == cid, seconds)

        def branch(m):
            return m.get("Via").split("branch=")[1].split(";")[0]

        th, out = start("tm.t_uac_wait_block", "i1")
        inv = at(b, "INVITE", "i1")
        r.check(f"{name} INVITE is sent", inv)
        b.reply(inv, 180, "Ringing", tag="t1")
        b.reply(inv, 486, "Busy Here", tag="t1")
        ack = at(b, "ACK", "i1")
        r.check(f"{name} a refusal is acknowledged by the transaction", ack and branch(ack) == branch(inv) and ack.ruri == inv.ruri and "tag=t1" in ack.get("To"), ack and ack.raw)
        th.join(10)
        r.check(f"{name} and told", out == [{"code": 486, "text": "Busy Here"}], out)

        th, out = start("tm.t_uac_wait", "i2")
        inv = at(b, "INVITE", "i2")
        b.reply(inv, 200, "OK", tag="t2", headers=[f"Record-Route: <sip:far@nowhere.invalid;lr>", f"Record-Route: <sip:{c.hostport};lr>"])
        ack = at(c, "ACK", "i2")
        r.check(f"{name} a 2xx is acknowledged along its route set", ack and ack.ruri == b.contact and branch(ack) != branch(inv) and ack.get("CSeq") == "10 ACK" and
                ack.all("Route") == [f"<sip:{c.hostport};lr>", "<sip:far@nowhere.invalid;lr>"] and "tag=t2" in ack.get("To"), ack and ack.raw)
        th.join(10)
        r.check(f"{name} 2xx told", out and out[0][:3] == [200, "OK", f"<{b.contact}>"], out)
        b.reply(inv, 200, "OK", tag="t2", headers=[f"Record-Route: <sip:{c.hostport}>"])
        ack = at(c, "ACK", "i2")
        r.check(f"{name} once more when it is repeated; a strict router takes the Request-URI", ack and ack.ruri == f"sip:{c.hostport}" and
                ack.all("Route") == [f"<{b.contact}>"], ack and ack.raw)
        r.check(f"{name} event_route[tm:local-ack-sent]", sip.wait_until(lambda: server.log_text().count("ack sent: ACK ") == 2), server.log_text()[-500:])

        th, out = start("tm.t_uac_wait_block_noack", "i3")
        inv = at(b, "INVITE", "i3")
        b.reply(inv, 200, "OK", tag="t3")
        th.join(10)
        r.check(f"{name} noack: told", out == [{"code": 200, "text": "OK"}], out)
        r.check(f"{name} noack: not acknowledged", at(b, "ACK", "i3", 0.5) is None)
        a.send(a.request("MESSAGE", f"sip:ack@{server.host}:{server.port}", "<sip:x@y>", headers=["X-Call: i3"]))
        ack = at(b, "ACK", "i3")
        r.check(f"{name} t_uac_ack_local", ack and ack.get("X-Late") == "yes" and ack.ruri == b.contact, ack and ack.raw)

        a.send(a.request("MESSAGE", f"sip:call@{server.host}:{server.port}", "<sip:x@y>", headers=["X-Call: i4", "X-Method: INVITE", f"X-To: {b.hostport}"]))
        inv = at(b, "INVITE", "i4")
        b.reply(inv, 200, "OK", tag="t4")
        r.check(f"{name} t_uac_send(INVITE)", at(b, "ACK", "i4"))
        a.send(a.request("MESSAGE", f"sip:call@{server.host}:{server.port}", "<sip:x@y>", headers=["X-Call: i5", "X-Method: INVITE.", f"X-To: {b.hostport}"]))
        inv = at(b, "INVITE", "i5")
        b.reply(inv, 200, "OK", tag="t5")
        r.check(f"{name} t_uac_send(INVITE.): no ACK", at(b, "ACK", "i5", 0.5) is None)

        th, out = start("tm.t_uac_wait_block", "i6")
        inv = at(b, "INVITE", "i6")
        b.reply(inv, 180, "Ringing", tag="t6")
        sip.wait_until(lambda: server.rpc("tm.stats")["rpl_received"] >= 8, 3)
        n = server.rpc("tm.cancel", "i6", "10")
        can = at(b, "CANCEL", "i6")
        r.check(f"{name} tm.cancel", can and branch(can) == branch(inv) and can.get("CSeq") == "10 CANCEL" and n, n)
        b.reply(can, 200, "OK")
        b.reply(inv, 487, "Request Terminated", tag="t6")
        r.check(f"{name} its 487 is acknowledged", at(b, "ACK", "i6"))
        th.join(10)
        r.check(f"{name} and told", out == [{"code": 487, "text": "Request Terminated"}], out)

        th, out = start("tm.t_uac_attrs", "i7", attrs=["mode=block;fr_timeout=300"])
        at(b, "INVITE", "i7")
        th.join(10)
        r.check(f"{name} fr_timeout", out and (out[0].get("code") if isinstance(out[0], dict) else None) == 408, out)
        th, out = start("tm.t_uac_attrs", "i8", attrs=["mode=block;rpflags=1"], invite="MESSAGE", body=["48 69"])
        th.join(10)
        r.check(f"{name} bad hex", out and "Invalid body" in str(out[0]), out)
        for method, attrs in (("tm.t_uac_attrs", ["mode=block;rpflags=1"]), ("tm.t_uac_wait_block_hex", [])):
            cid = "h" + method
            th, out = start(method, cid, attrs=attrs, invite="MESSAGE", body=["4869"])
            m = at(b, "MESSAGE", cid)
            r.check(f"{name} {method}: body in hex", m and m.body == b"Hi", m and m.raw)
            b.reply(m, 200, "OK", tag="x")
            th.join(10)
            r.check(f"{name} {method}: told", out == [{"code": 200, "text": "OK"}], out)
        th, out = start("tm.t_uac_attrs", "i9", attrs=["mode=often"])
        th.join(10)
        r.check(f"{name} bad attribute", out and 'Invalid attribute "mode=often"' in str(out[0]).replace("\\", ""), out)
        for ua in (a, b, c):
            ua.close()
