# SPDX-License-Identifier: BSD-2-Clause
"""Each function of registrar: its return code and what it leaves behind. lookup_xavp() and reg_from_user() are newer than Kamailio 5.6, and the
address of a socket in RPC is ours; all other rows pass there too."""
import time

import sip

ONE, A, B = "sip:one@192.0.2.1", "sip:a@192.0.2.1", "sip:b@192.0.2.2"
NAT, SOCKET = "sip:192.0.2.77:5099", "udp:203.0.113.5:5090"

# function, user it is asked about, X-Value, method, X-Out
ROWS = [
    ("lookup", "one", None, "MESSAGE", f"1|{ONE}|<null>|{ONE}"),
    ("lookup", "none", None, "MESSAGE", "-1|sip:none@test.ringfort|<null>|<null>"),
    ("lookup", "recv", None, "MESSAGE", f"1|sip:r@10.0.0.1|{NAT}|sip:r@10.0.0.1"),
    ("lookup", "two", None, "MESSAGE", f"1|{A}|<null>|{A}"),
    ("lookup", "invites", None, "MESSAGE", "-2|sip:invites@test.ringfort|<null>|<null>"),
    ("lookup", "invites", None, "INVITE", "1|sip:i@192.0.2.1|<null>|sip:i@192.0.2.1"),
    ("lookup_uri", "one", None, "MESSAGE", f"1|{A}|{B}"),
    ("lookup_to_dset", "two", None, "MESSAGE", f"1|two|{A}|{B}"),
    ("lookup_branches", "two", None, "MESSAGE", f"1|{A}|{ONE}|{B}"),
    ("lookup_xavp", "one", None, "MESSAGE", f"1|two|2|{A}|{B}"),
    ("registered", "one", None, "MESSAGE", f"1|one|{ONE}"),
    ("registered", "none", None, "MESSAGE", "-1|none|<null>"),
    ("registered_uri", "none", None, "MESSAGE", "1"),
    ("registered_callid", "one", "two-b", "MESSAGE", f"1|{B}"),
    ("registered_callid", "one", "other", "MESSAGE", "-1|<null>"),
    ("registered_callid", "one", None, "MESSAGE", f"1|{A}"),
    ("registered_received", "one", NAT, "MESSAGE", "1|<null>"),
    ("registered_received", "one", "sip:1.1.1.1", "MESSAGE", "-1|<null>"),
    ("registered_contact", "one", B, "MESSAGE", f"1|{B}"),
    ("registered_contact", "one", "sip:q@q", "MESSAGE", "-1|<null>"),
    ("fetch", "two", None, "MESSAGE", f"1|two|2|{A}|{B}|{SOCKET}|-1|two-a"),
    ("fetch", "none", None, "MESSAGE", "-1|<null>|<null>|<null>|<null>|<null>|<null>|<null>"),
    ("free", "one", None, "MESSAGE", "1|<null>"),
    ("from_user", "me", "0", "MESSAGE", "1"),
    ("from_user", "me", "3", "MESSAGE", "1"),
    ("from_user", "near", "0", "MESSAGE", "1"),
    ("from_user", "near", "1", "MESSAGE", "-1"),
    ("from_user", "tcp", "1", "MESSAGE", "1"),
    ("from_user", "tcp", "2", "MESSAGE", "-1"),
    ("from_user", "one", "0", "MESSAGE", "-1"),
    ("unregister_none", "two", None, "MESSAGE", "-3"),
    ("unregister_ruid", "two", None, "MESSAGE", "1"),
    ("fetch", "two", None, "MESSAGE", f"1|two|1|{A}|<null>|{SOCKET}|-1|two-a"),
    ("unregister", "two", None, "MESSAGE", "1"),
    ("fetch", "two", None, "MESSAGE", "-1|<null>|<null>|<null>|<null>|<null>|<null>|<null>"),
    ("unregister", "two", None, "MESSAGE", "1"),
    ("unregister_none", "none", None, "MESSAGE", "-3"),
]
NEWER = ("lookup_xavp", "from_user")


def ask(ua, what, user, value=None, method="MESSAGE"):
    fields = [f"X-Do: {what}"] + ([f"X-Value: {value}"] if value else [])
    ua.send(ua.request(method, f"sip:{user}@test.ringfort", f"<sip:{user}@test.ringfort>", headers=fields, contact=False))
    got = ua.expect(lambda m: m.status is not None)
    return got and got.get("X-Out")


def run(r, ctx):
    name = "registrar/03-functions"
    ours = "kamailio" not in ctx.program
    newer = ["NEWER"] if ours else []
    with ctx.server("server.cfg", defines=["USE_EXPIRED=0"] + newer) as server:
        ua, peer = sip.Ua(server.host, server.port, user="one"), sip.Ua(server.host, server.port, user="peer")

        def save(what, user, contact, status=200, contacts=None, out=None, callid=None, fields=()):
            got = ua.register(user, contact=f"<{contact}>", expires=300, headers=list(fields), callid=callid)
            ok = got and got.status == status and (contacts is None or got.all("Contact") == contacts) and got.get("X-Out") == out
            r.check(f"{name} save: {what}", ok, got and got.raw)

        save("one", "one", ONE)
        save("a first", "two", A, callid="two-a")
        save("a second", "two", B, callid="two-b", contacts=[f"<{A}>;expires=300, <{B}>;expires=300"])
        save("received_avp", "recv", "sip:r@10.0.0.1", fields=[f"X-Received: {NAT}"])
        save("methods", "invites", "sip:i@192.0.2.1", fields=["Allow: INVITE, ACK, BYE"])
        save("for reg_from_user", "me", ua.contact)
        save("the same address, another port", "near", "sip:near@127.0.0.1:9")
        save("the same address and port, another protocol", "tcp", ua.contact + ";transport=tcp")
        save("flag 2, then reg_send_reply()", "held", ONE, contacts=[f"<{ONE}>;expires=300"], out="1", fields=["X-Flags: reply"])
        save("flags 2 and 16: the script answers", "prepared", ONE, 202, [f"<{ONE}>;expires=300"], fields=["X-Flags: prepare"])
        save("flag 4", "single", ONE, contacts=[f"<{ONE}>;expires=300"], fields=["X-Flags: one"])
        save("flag 4 again: one contact", "single", A, contacts=[f"<{A}>;expires=300"], fields=["X-Flags: one"])
        got = ua.register("single", contact=f"<{ONE}>", expires=0, headers=["X-Flags: one"])
        r.check(f"{name} save: flag 4, the contact that had to go is removed: the other stays", got and got.all("Contact") == [f"<{A}>;expires=300"], got and got.raw)
        got = ua.register("single", contact=f"<{ONE}>, <{B}>", expires=300, headers=["X-Flags: one"])
        r.check(f"{name} save: flag 4, several in one message: the last", got and got.all("Contact") == [f"<{B}>;expires=300"], got and got.raw)
        for what, user, contacts, out in (("a contact that is not there, of an AoR that is not", "nobody", f"<{ONE}>", "1"),
                                          ("a contact that is not there", "held", f"<{A}>", "1"),
                                          ("one that is and one that is not", "held", f"<{ONE}>;expires=0, <{A}>", "3")):
            got = ua.register(user, contact=contacts, expires=0, headers=["X-Flags: reply"])
            r.check(f"{name} save: to remove {what}", got and got.status == 200 and got.get("X-Out") == out, got and got.raw)
        save("for another URI", "three", ONE, fields=["X-Flags: uri"])
        save("xavp_cfg: expires and q", "cfg", ONE, contacts=[f"<{ONE}>;q=0.25;expires=77"], fields=["X-Flags: cfg"])
        for what, user, value, method, want in ROWS:
            if ours or what not in NEWER:
                got = ask(ua, what, user, value, method)
                r.check(f"{name} {what} {user} {value or ''} {method}", got == want, f"{got} instead of {want}")
        r.check(f"{name} the other URI has it, the To has not", ask(ua, "registered", "other") == f"1|other|{ONE}" and ask(ua, "registered", "three") == "-1|three|<null>")
        ua.send(ua.request("MESSAGE", "sip:x@test.ringfort", "<sip:x@test.ringfort>", headers=["X-Do: add_sock_hdr", f"X-Value: {peer.contact}"]))
        got = peer.expect("MESSAGE")
        r.check(f"{name} add_sock_hdr", got and got.get("Sock-Info") == f"udp:127.0.0.1:{server.port}", got and got.raw)
        if ours:
            got = server.rpc("ul.lookup", "location", "one")["Contacts"][0]["Contact"]["Socket"]
            r.check(f"{name} sock_mode: RPC shows the advertised address", got == SOCKET, got)
        ua.close()
        peer.close()
    for lapsed in (0, 1):
        with ctx.server("server.cfg", defines=[f"USE_EXPIRED={lapsed}"] + newer) as server:
            ua = sip.Ua(server.host, server.port, user="one")
            ua.register("one", contact=f"<{ONE}>", expires=1)
            end = time.monotonic() + 5
            gone = lambda: server.rpc("ul.dump")["Domains"][0]["Domain"]["AoRs"][0]["Info"]["Contacts"][0]["Contact"]["Expires"] == "expired"
            r.check(f"{name} use_expired_contacts {lapsed}: the contact expires", sip.wait_until(gone, end - time.monotonic()))
            for what, found in (("lookup", f"1|{ONE}|<null>|{ONE}"), ("registered", f"1|one|{ONE}")):
                got = ask(ua, what, "one")
                r.check(f"{name} use_expired_contacts {lapsed}: {what}", (got == found) == bool(lapsed), got)
            ua.close()
