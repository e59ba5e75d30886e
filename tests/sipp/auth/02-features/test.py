# SPDX-License-Identifier: BSD-2-Clause
"""Module auth from outside: challenges, return codes, quality of protection, nonce counts, one-time and bound nonces, the hashes of RFC 8760, and a worker that
dies between two uses of a nonce. The same rows pass on Kamailio 5.6.3 but those that say "ours": auth-int over a body, MD5-sess and several algorithms are not in it,
an unknown algorithm is MD5 to it, and it tracks nonce counts up to 255."""
import hashlib
import os
import re
import signal

import sip

R = "sip:test.ringfort"
HASH = {"MD5": "md5", "SHA-256": "sha256", "SHA-512-256": "sha512_256", "SHA-512": "sha512"}
OK = "1 alice test <null>"


def parts(challenge):
    return dict(re.findall(r'([\w-]+)="?([^",\r]+)"?', challenge))


def creds(challenge, method="REGISTER", at=R, user="alice", password="secret", alg=None, qop=None, nc="00000001", body=b"", cnonce="abc", realm=None, say=None):
    """Credentials as a client makes them (RFC 7616, 3.4). say: the algorithm it names, when not the one it uses."""
    p = parts(challenge)
    alg = alg or p.get("algorithm", "MD5")
    h = lambda s: hashlib.new(HASH[alg.replace("-sess", "")], s.encode() if isinstance(s, str) else s).hexdigest()
    realm = realm or p["realm"]
    ha1 = h(f"{user}:{realm}:{password}")
    if alg.endswith("-sess"):
        ha1 = h(f"{ha1}:{p['nonce']}:{cnonce}")
    ha2 = h(f"{method}:{at}:{h(body)}" if qop == "auth-int" else f"{method}:{at}")
    response = h(f"{ha1}:{p['nonce']}:{nc}:{cnonce}:{qop}:{ha2}" if qop else f"{ha1}:{p['nonce']}:{ha2}")
    out = f'Digest username="{user}", realm="{realm}", nonce="{p["nonce"]}", uri="{at}", response="{response}", algorithm={say or alg}'
    return out + (f', qop={qop}, nc={nc}, cnonce="{cnonce}"' if qop else "")


class Peer:
    """A server with these defines, and a client that asks it."""

    def __init__(self, r, ctx, *defines):
        self.r, self.ours = r, "kamailio" not in ctx.program
        self.server = ctx.server("server.cfg", defines=list(defines) + (["NEWER"] if self.ours else []))
        self.ua = sip.Ua(self.server.host, self.server.port, user="alice")
        self.tag = "auth/02-features " + " ".join(defines)

    def ask(self, do, flags=0, cred=None, method="REGISTER", field="Authorization", body=b"", frm="alice", to="alice", fields=(), callid=None, from_tag=None):
        lines = [f"X-Do: {do}", f"X-Flags: {flags}"] + ([f"{field}: {cred}"] if cred else []) + list(fields)
        self.ua.send(self.ua.request(method, R, f"<sip:{to}@test.ringfort>", frm=f"<sip:{frm}@test.ringfort>", headers=lines, body=body, callid=callid, from_tag=from_tag))
        return self.ua.expect(lambda m: m.status is not None)

    def challenge(self, flags=1, **kw):
        return self.ask("www_challenge", flags, **kw).get("WWW-Authenticate")

    def row(self, what, want, *args, **kw):
        """X-Rc of the answer; a number alone is compared with the return code alone."""
        if what.startswith("ours") and not self.ours:
            return
        got = self.ask(*args, **kw)
        rc = re.sub(r'nonce="[^"]*"', 'nonce="N"', got and got.get("X-Rc") or "")
        self.r.check(f"{self.tag} {what}", rc == want or (want.lstrip("-").isdigit() and rc.split(" ")[0] == want), f"{rc!r} instead of {want!r}")

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.ua.close()
        self.server.stop()


def challenges(t):
    for do, method, status, field in (("www_challenge", "REGISTER", 401, "WWW"), ("proxy_challenge", "REGISTER", 407, "Proxy"), ("auth_challenge", "REGISTER", 401, "WWW"), ("auth_challenge", "MESSAGE", 407, "Proxy")):
        for flags, more in ((0, ""), (1, ', qop="auth"'), (2, ', qop="auth-int"'), (16, ", stale=true"), (17, ', qop="auth", stale=true')):
            got = t.ask(do, flags, method=method)
            text = re.sub(r'nonce="[^"]+"', 'nonce="N"', got and got.get(f"{field}-Authenticate") or "")
            t.r.check(f"{t.tag} {do} {method} {flags}", got and got.status == status and text == f'Digest realm="test", nonce="N"{more}', got and got.raw)
    t.row("auth_get_www_authenticate", '1 WWW-Authenticate: Digest realm="test", nonce="N", qop="auth"', "get", 1)
    for flags, more in ((2, ""), (4, ', qop="auth"'), (8, ', qop="auth-int"')):
        t.row(f"challenge for the script, flags {flags}", f'-5 <null> <null> WWW-Authenticate: Digest realm="test", nonce="N"{more}', "pv_www", flags)
    t.row("ours: challenge for the script, stale", '-5 <null> <null> WWW-Authenticate: Digest realm="test", nonce="N", stale=true', "pv_www", 18)


def codes(t):
    plain, q, whole = t.challenge(0), t.challenge(1), t.challenge(2)
    nonce = parts(q)["nonce"]
    other = lambda i: q.replace(nonce, nonce[:i] + ("B" if nonce[i] != "B" else "C") + nonce[i + 1:])
    good = lambda **kw: creds(q, qop="auth", **kw)
    t.row("right, without qop", OK, "pv_www", 0, creds(plain))
    t.row("right, with qop", OK, "pv_www", 0, good())
    t.row("right, again", OK, "pv_www", 0, good())
    t.row("right, qop in quotes", OK, "pv_www", 0, good().replace("qop=auth", 'qop="auth"'))
    t.row("a wrong password", "-2", "pv_www", 0, good(password="x"))
    t.row("somebody else's", "-2", "pv_www", 0, good().replace('"alice"', '"bob"'))
    t.row("the response in capitals", "-2", "pv_www", 0, re.sub(r'response="(\w+)"', lambda m: m.group(0).upper().replace("RESPONSE", "response"), good()))
    t.row("for another URI than it says", "-2", "pv_www", 0, good(at="sip:elsewhere").replace("sip:elsewhere", R))
    t.row("none", "-5", "pv_www", 0)
    t.row("for another realm", "-5", "pv_www", 0, good(realm="other"))
    t.row("only for the proxy", "-5", "pv_www", 0, good(), field="Proxy-Authorization")
    t.row("that cannot be read", "-1", "pv_www", 0, "Digest garbage")
    t.row("without URI", "-1", "pv_www", 0, re.sub(r', uri="[^"]*"', "", good()))
    t.row("a short response", "-1", "pv_www", 0, re.sub(r'response="\w+"', 'response="abcd"', good()))
    t.row("a nonce with another MAC", "-1", "pv_www", 0, creds(other(20), qop="auth"))
    t.row("a short nonce", "-1", "pv_www", 0, creds(q.replace(nonce, "abcd"), qop="auth"))
    t.row("ours: an unknown algorithm", "-1", "pv_www", 0, good(say="FOO"))
    t.row("ours: MD5-sess", OK, "pv_www", 0, good(alg="MD5-sess"))
    t.row("ours: qop that nobody knows", "-1", "pv_www", 0, good().replace("qop=auth", "qop=foo"))
    t.row("ours: auth-int", OK, "pv_www", 0, creds(whole, "MESSAGE", qop="auth-int", body=b"hello"), method="MESSAGE", body=b"hello")
    t.row("auth-int, the body was changed", "-2", "pv_www", 0, creds(whole, "MESSAGE", qop="auth-int", body=b"hello"), method="MESSAGE", body=b"Hello")
    t.row("made for the method that the script names", "1", "pv_www_method", 0, creds(q, "INVITE", qop="auth"))
    t.row("made for another", "-2", "pv_www_method", 0, good())
    ha1 = hashlib.md5(b"alice:test:secret").hexdigest()
    t.row("HA1", "1", "pv_ha1", 1, good(), fields=[f"X-Ha1: {ha1}"])
    t.row("a wrong HA1", "-2", "pv_ha1", 1, good(), fields=[f"X-Ha1: {ha1[::-1]}"])
    proxy = creds(q, "MESSAGE", qop="auth")
    t.row("proxy", "1", "pv_proxy", 0, proxy, method="MESSAGE", field="Proxy-Authorization")
    t.row("proxy, but in Authorization", "-5", "pv_proxy", 0, proxy, method="MESSAGE")
    t.row("PRACK is never asked", "1", "pv_proxy", 0, method="PRACK")


def identity(t):
    q = t.challenge()
    mine, message, publish = creds(q, qop="auth"), creds(q, "MESSAGE", qop="auth"), creds(q, "PUBLISH", qop="auth")
    proxy = {"method": "MESSAGE", "field": "Proxy-Authorization"}
    t.row("identity: REGISTER", "1", "check", 1, mine)
    t.row("identity: another To", "-8", "check", 1, mine, to="bob")
    t.row("identity: another From", "-8", "check", 1, mine, frm="bob")
    t.row("identity: not checked", "1", "check", 0, mine, frm="bob")
    t.row("identity: MESSAGE", "1", "check", 1, message, **proxy)
    t.row("identity: MESSAGE from another", "-8", "check", 1, message, frm="bob", **proxy)
    t.row("identity: PUBLISH to another URI", "-8", "check", 1, publish, method="PUBLISH", field="Proxy-Authorization")
    t.row("identity: no credentials", "-5", "check", 1, method="MESSAGE")
    t.row("has_credentials", "1", "has", 0, mine)
    t.row("has_credentials of the proxy", "1", "has", 0, mine, field="Proxy-Authorization")
    t.row("has_credentials: none", "-1", "has", 0)
    t.row("has_credentials for another realm", "-1", "has", 0, creds(q, qop="auth", realm="other"))
    t.row("consume_credentials: none", "-1", "consume", 0)
    t.row("consume_credentials: not authorised", "-1", "consume", 0, mine)
    t.row("consume_credentials", "1", "consume_ok", 0, mine)


def counts(t):
    q = t.challenge()
    at = lambda nc, **kw: creds(q, qop="auth", nc=nc, **kw)
    for nc, want in (("00000001", "1"), ("00000001", "-4"), ("00000002", "1"), ("00000005", "1"), ("00000003", "-4"), ("0000000g", "-1"), ("6", "-1"), ("00000008", "1"), ("00010000", "-4")):
        t.row(f"nc {nc}", want, "pv_www", 0, at(nc))
    t.row("ours: nc above 255", "1", "pv_www", 0, at("00000100"))
    q = t.challenge()
    t.row("any nc may be the first", "1", "pv_www", 0, at("00000007"))
    t.row("a wrong password takes the nc", "-2", "pv_www", 0, at("00000008", password="x"))
    t.row("so the right one is stale", "-4", "pv_www", 0, at("00000008"))
    t.row("ours: flag 32, a wrong password does not", "-2", "pv_www", 32, at("00000009", password="x"))
    t.row("ours: flag 32, the right one takes it", "1", "pv_www", 32, at("00000009"))
    t.row("ours: flag 32, once", "-4", "pv_www", 32, at("00000009"))
    t.row("without qop it is not counted", "1", "pv_www", 0, creds(q))
    t.row("without qop, again", "1", "pv_www", 0, creds(q))


def deaths(t):
    """The count is in shared memory: what one worker saw, its successor knows."""
    if not t.ours:
        return
    q = t.challenge()
    for round_ in range(1, 4):
        nc = f"0000000{round_}"
        t.row(f"deaths: nc {nc}", "1", "pv_www", 0, creds(q, qop="auth", nc=nc))
        before = t.server.workers()
        for pid in before:
            os.kill(pid, signal.SIGKILL)

        def fresh():
            now = t.server.workers()
            return len(now) == len(before) and not set(now) & set(before)

        t.r.check(f"{t.tag} deaths: all workers are replaced", sip.wait_until(fresh, 10))
        t.row(f"deaths: nc {nc} is still taken", "-4", "pv_www", 0, creds(q, qop="auth", nc=nc))


def run(r, ctx):
    with Peer(r, ctx) as t:
        challenges(t)
        codes(t)
        identity(t)
        if t.ours:
            got = t.ask("algs", 1)
            fields = got.all("WWW-Authenticate")
            r.check(f"{t.tag} one field for each algorithm, with one nonce", [parts(f)["algorithm"] for f in fields] == ["SHA-512-256", "SHA-256", "MD5"] and len({parts(f)["nonce"] for f in fields}) == 1, got.raw)
            for f in fields:
                t.row(f"answered with {parts(f)['algorithm']}", OK, "pv_www", 0, creds(f, qop="auth"))
            got = t.ask("auth_algorithm").get("WWW-Authenticate")
            r.check(f"{t.tag} auth_algorithm()", parts(got)["algorithm"] == "SHA-256", got)
    with Peer(r, ctx, "COUNT") as t:
        counts(t)
        deaths(t)
    with Peer(r, ctx, "ONCE") as t:
        for qop in ("auth", None):
            c = t.challenge(1 if qop else 0)
            t.row(f"qop {qop}: once", "1", "pv_www", 0, creds(c, qop=qop))
            t.row(f"qop {qop}: not twice", "-6", "pv_www", 0, creds(c, qop=qop, nc="00000002"))
    with Peer(r, ctx, "COUNT", "ONCE") as t:
        q, c = t.challenge(), t.challenge(0)
        for nc, want in (("00000001", "1"), ("00000002", "1"), ("00000002", "-4")):
            t.row(f"counted: nc {nc}", want, "pv_www", 0, creds(q, qop="auth", nc=nc))
        t.row("not counted: once", "1", "pv_www", 0, creds(c))
        t.row("not counted: not twice", "-6", "pv_www", 0, creds(c))
    with Peer(r, ctx, "CHECKS") as t:
        q = t.challenge(callid="k1", from_tag="f1")
        for callid, tag, want in (("k1", "f1", "1"), ("k2", "f1", "-4"), ("k1", "f2", "-4")):
            t.row(f"bound: Call-ID {callid}, From-tag {tag}", want, "pv_www", 0, creds(q, qop="auth"), callid=callid, from_tag=tag)
    with Peer(r, ctx, "SHA") as t:
        q = t.challenge()
        r.check(f"{t.tag} the challenge names it", q.endswith("algorithm=SHA-256"), q)
        t.row("answered", OK, "pv_www", 0, creds(q, qop="auth"))
    with Peer(r, ctx, "SHORT") as t:
        q = t.challenge()
        stale = lambda: t.ask("pv_www", 0, creds(q, qop="auth")).get("X-Rc").split(" ")[0] == "-4"
        r.check(f"{t.tag} a nonce expires", sip.wait_until(stale, 5))
        t.row("before the password is looked at", "-4", "pv_www", 0, creds(q, qop="auth", password="x"))
    with Peer(r, ctx, "INFO") as t:
        q = t.challenge()
        info = t.ask("pv_www", 0, creds(q, qop="auth")).get("Authentication-Info") or ""
        p, h = parts(info), lambda s: hashlib.md5(s.encode()).hexdigest()
        want = h(f"{h('alice:test:secret')}:{parts(q)['nonce']}:00000001:abc:auth:{h(':' + R)}")
        r.check(f"{t.tag} Authentication-Info proves that we know the password", p.get("rspauth") == want and p.get("nc") == "00000001" and p.get("cnonce") == "abc" and p.get("qop") == "auth", info)
        t.row("its next nonce is good", OK, "pv_www", 0, creds(f'realm="test", nonce="{p.get("nextnonce")}"', qop="auth"))
        got = t.ask("pv_www", 0, creds(q, qop="auth", password="x"))
        r.check(f"{t.tag} none after a wrong password", got and not got.get("Authentication-Info"))
