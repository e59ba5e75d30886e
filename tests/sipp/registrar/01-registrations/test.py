# SPDX-License-Identifier: BSD-2-Clause
"""Register, refresh, query, several contacts, remove one, remove all, expiry; over UDP and TCP, IPv4 and IPv6."""
import re

import sip


def expires_of(reply, contact):
    for line in reply.all("Contact"):
        m = re.search(re.escape(contact) + r">?[^,]*;expires=(\d+)", line)
        if m:
            return int(m.group(1))
    return None


def query(ua, user):
    ua.send(ua.request("REGISTER", "sip:test.ringfort", f"<sip:{user}@test.ringfort>", frm=f"<sip:{user}@test.ringfort>", contact=False))
    return ua.expect(lambda m: m.status is not None and m.cseq_method == "REGISTER")


def run(r, ctx):
    for host in ("127.0.0.1", "::1"):
        if host == "::1" and not sip.has_ipv6():
            r.skip("registrar/01-registrations ::1", "no IPv6 loopback on this machine")
            continue
        with ctx.server(host=host) as server:
            for proto in ("udp", "tcp"):
                tag = f"registrar/01-registrations {proto} {host}"
                ua = sip.Ua(server.host, server.port, proto, user=f"alice{proto}")
                user = ua.user
                got = ua.register(user, expires=60, callid="reg-1", cseq=1)
                r.check(f"{tag} register", got and got.status == 200 and (expires_of(got, ua.contact) or 0) in range(55, 61), got and got.raw)
                got = ua.register(user, expires=120, callid="reg-1", cseq=2)
                r.check(f"{tag} refresh", got and got.status == 200 and (expires_of(got, ua.contact) or 0) in range(115, 121), got and got.raw)
                other = f"sip:{user}@192.0.2.7:5099"
                got = ua.register(user, expires=90, contact=f"<{other}>;q=0.3", callid="reg-2", cseq=1)
                r.check(f"{tag} second contact", got and got.status == 200 and expires_of(got, other) and expires_of(got, ua.contact), got and got.raw)
                got = query(ua, user)
                r.check(f"{tag} query", got and got.status == 200 and expires_of(got, other) and expires_of(got, ua.contact), got and got.raw)
                got = ua.register(user, expires=0, contact=f"<{other}>", callid="reg-2", cseq=2)
                r.check(f"{tag} de-register one", got and got.status == 200 and not expires_of(got, other) and expires_of(got, ua.contact), got and got.raw)
                got = ua.register(user, expires=30, callid="reg-1", cseq=1)
                r.check(f"{tag} lower CSeq is refused", got and got.status == 400, got and got.raw)
                got = ua.register(user, contact="*", expires=5, callid="reg-3")
                r.check(f"{tag} star needs Expires 0", got and got.status == 400, got and got.raw)
                got = ua.register(user, contact="*", expires=0, callid="reg-3", cseq=2)
                r.check(f"{tag} de-register all", got and got.status == 200 and not got.all("Contact"), got and got.raw)
                got = ua.register(user, expires=2, callid="reg-4")
                gone = sip.wait_until(lambda: not query(ua, user).all("Contact"), 6, 0.3)
                r.check(f"{tag} expiry", got and got.status == 200 and gone)
                ua.close()
