# SPDX-License-Identifier: BSD-2-Clause
"""conf/ringfort.cfg: registering with a password, nonces (forged, another realm's, another worker's), identity, no open relay, contacts over a restart."""
import base64
import hashlib
import os
import subprocess
import tempfile

import sip


def run(r, ctx):
    name = "auth/01-digest"
    tmp = tempfile.mkdtemp(prefix="ringfort-auth-")
    db = f"{tmp}/db.sqlite"
    ha1 = lambda u: hashlib.md5(f"{u}:ringfort:secret-{u}".encode()).hexdigest()
    subprocess.run(["sqlite3", db], text=True, check=True, input=open(os.path.join(sip.TOP, "conf/sql/sqlite/standard.sql")).read() + "".join(
        f"insert into subscriber (username, domain, ha1) values ('{u}', 'ringfort', '{ha1(u)}');" for u in ("101", "102")))
    cfg = f"{tmp}/server.cfg"
    open(cfg, "w").write(open(os.path.join(ctx.folder, "server.cfg")).read().replace("DEFAULT_FILE", os.path.join(sip.TOP, "conf/ringfort.cfg")))
    final = lambda m: m.status is not None and m.status >= 200

    def register(ua, user, password, cseq=1, mangle=None, contact=None):
        uri, to = "sip:test.ringfort", f"<sip:{user}@test.ringfort>"
        h = [f"Contact: <{contact or ua.contact}>;expires=600"]
        ua.send(ua.request("REGISTER", uri, to, frm=to, cseq=cseq, headers=h, contact=False))
        got = ua.expect(final)
        if not got or got.status != 401:
            return got
        challenge = got.get("WWW-Authenticate")
        if mangle:
            challenge = mangle(challenge)
        ua.send(ua.request("REGISTER", uri, to, frm=to, cseq=cseq + 1, headers=h + ["Authorization: " + sip.digest(challenge, "REGISTER", uri, user, password)], contact=False))
        return ua.expect(final)

    def flip(challenge):
        nonce = challenge.split('nonce="')[1].split('"')[0]
        raw = bytearray(base64.b64decode(nonce))
        raw[10] ^= 1
        return challenge.replace(nonce, base64.b64encode(raw).decode())

    define = [f'DB_URL="sqlite://{db}"']
    with sip.Server(ctx.program, cfg, defines=define, args=ctx.args) as server:
        others = []  # contacts of 101 too: a call goes to all of them, and fails only when all have failed
        for proto in ("udp", "tcp"):
            ua = sip.Ua(server.host, server.port, proto, user=f"x{proto}")
            got = register(ua, "101", "secret-101")
            r.check(f"{name} {proto} the right password", got and got.status == 200, got and got.raw)
            got = register(ua, "101", "wrong")
            r.check(f"{name} {proto} a wrong one", got and got.status == 401, got and got.first)
            got = register(ua, "nobody", "wrong")
            r.check(f"{name} {proto} an unknown user looks the same", got and got.status == 401 and got.first == "SIP/2.0 401 Unauthorized", got and got.first)
            got = register(ua, "102", "secret-102", mangle=flip)
            r.check(f"{name} {proto} a forged nonce", got and got.status == 401, got and got.first)
            others.append(ua)
        a = sip.Ua(server.host, server.port, user="102")
        b = sip.Ua(server.host, server.port, user="101")
        got = register(b, "101", "secret-101")
        r.check(f"{name} callee registers", got and got.status == 200)
        # identity: 102's password does not register 101
        uri, to = "sip:test.ringfort", "<sip:101@test.ringfort>"
        a.send(a.request("REGISTER", uri, to, frm=to))
        ch = a.expect(401)
        a.send(a.request("REGISTER", uri, to, frm=to, cseq=2, headers=["Authorization: " + sip.digest(ch.get("WWW-Authenticate"), "REGISTER", uri, "102", "secret-102")]))
        got = a.expect(final)
        r.check(f"{name} one user cannot register another", got and got.status == 403, got and got.first)
        # calls need a password, and lead only to our own users
        inv = a.request("INVITE", "sip:101@test.ringfort", "<sip:101@test.ringfort>", callid="d1")
        a.send(inv)
        got = a.expect(final)
        r.check(f"{name} a call without credentials is challenged", got and got.status == 407, got and got.first)
        auth = "Proxy-Authorization: " + sip.digest(got.get("Proxy-Authenticate"), "INVITE", "sip:101@test.ringfort", "102", "secret-102")
        a.send(a.request("INVITE", "sip:101@test.ringfort", "<sip:101@test.ringfort>", callid="d1", cseq=2, headers=[auth]))
        got = b.expect("INVITE")
        r.check(f"{name} with them it arrives, without the credentials", got and not got.all("Proxy-Authorization"), got and got.raw)
        if got:
            b.reply(got, 486, "Busy", tag="b")
            for ua in others:
                ua.reply(ua.expect("INVITE"), 486, "Busy", tag=ua.user)
            r.check(f"{name} and its answer comes back", a.expect(486))
        a.send(a.request("INVITE", "sip:someone@192.0.2.1", "<sip:someone@192.0.2.1>", callid="d2"))
        got = a.expect(407)
        auth = "Proxy-Authorization: " + sip.digest(got.get("Proxy-Authenticate"), "INVITE", "sip:someone@192.0.2.1", "102", "secret-102")
        a.send(a.request("INVITE", "sip:someone@192.0.2.1", "<sip:someone@192.0.2.1>", callid="d2", cseq=2, headers=[auth]))
        got = a.expect(final)
        r.check(f"{name} no relay to elsewhere", got and got.status == 403, got and got.first)
        # hostile user names and domains never reach SQL as text
        for evil in ("x' or '1'='1", "a%00b", "%27;drop table subscriber;--", "u" * 2000):
            hostile = evil.replace(" ", "%20").replace("'", "%27")
            got = register(a, hostile, "x")
            r.check(f"{name} hostile user {evil[:20]!r}", got and got.status in (400, 401, 403), got and got.first)
        got = [register(a, "102", pw) for pw in ("guess", "guess", "secret-102")]
        r.check(f"{name} two wrong passwords do not lock anybody out", [m and m.status for m in got] == [401, 401, 200], [m and m.first for m in got])
        seen = {user: {register(a, user, "guess").first for _ in range(5)} for user in ("102", "nobody")}
        r.check(f"{name} guessing does not tell which users there are", seen["102"] == seen["nobody"] and len(seen["102"]) == 1, seen)
        got = register(a, "102", "secret-102")
        r.check(f"{name} whose password was guessed at has to wait", got and got.status == 401, got and got.first)
        told = lambda: server.log_text().count("third failed authentication of 102")
        r.check(f"{name} which is logged once", sip.wait_until(told, 3) and told() == 1, server.log_text()[-1500:])
        for ua in [a, b] + others:
            ua.close()
    rows = subprocess.run(["sqlite3", db, "select count(*) from subscriber; select count(*) from location where username='101'"], capture_output=True, text=True).stdout.split()
    r.check(f"{name} the tables are whole, the contacts are written at the end", rows == ["2", "3"], rows)
    with sip.Server(ctx.program, cfg, defines=define, args=ctx.args) as server:
        got = server.rpc("ul.lookup", "location", "101")
        r.check(f"{name} contacts survive a restart", len(got["Contacts"]) == 3, got)
    subprocess.run(["rm", "-rf", tmp])
