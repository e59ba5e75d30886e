# SPDX-License-Identifier: BSD-2-Clause
"""Answers that come late, cannot be given or do not count, the Reason of each CANCEL, and what is said of a transaction before there is one.
Kamailio passes it as well."""
import sip

CHALLENGE = 'Digest realm="{}", nonce="1"'


def run(r, ctx):
    name = "tm/17-late-answers"
    for mode in (1, 2, 3):
        with ctx.server("server.cfg", defines=[f"REPLY_MODE={mode}"]) as server:
            a, b = (sip.Ua(server.host, server.port, user=u) for u in ("alice", "bob"))
            Tests(r, name, server, a, b, None).reply_mode(mode)
            for ua in (a, b):
                ua.close()
    with ctx.server("server.cfg", defines=["REPLY_MODE=0"]) as server:
        a, b, c = (sip.Ua(server.host, server.port, user=u) for u in ("alice", "bob", "carol"))
        tests = Tests(r, name, server, a, b, c)
        tests.relayed_twice()
        tests.late_2xx()
        tests.reasons()
        tests.stopped()
        tests.replicated()
        tests.not_sent()
        tests.before()
        tests.stray()
        tests.suspended()
        tests.rewritten()
        tests.dropped_challenges()
        for ua in (a, b, c):
            ua.close()


class Tests:
    def __init__(self, r, name, server, a, b, c):
        self.r, self.name, self.server, self.a, self.b, self.c = r, name, server, a, b, c

    def check(self, what, ok, got=None):
        return self.r.check(f"{self.name} {what}", ok, got and got.raw)

    def send(self, cid, *to, user="x", headers=(), method="INVITE", branch=None):
        self.a.send(self.a.request(method, f"sip:{user}@{self.server.host}:{self.server.port}", "<sip:x@test.ringfort>", callid=cid, branch=branch,
                                   headers=[*(f"X-To: {x}" for x in to), *headers]))

    def answer(self, cid, method="INVITE", seconds=6, at_least=200):
        return self.a.expect(lambda m: m.status is not None and m.status >= at_least and m.get("Call-ID") == cid and m.cseq_method == method, seconds)

    def at(self, ua, method, cid, seconds=6):
        return ua.expect(lambda m: m.method == method and m.get("Call-ID") == cid, seconds)

    def stop(self, ua, invite, cancel):
        """What a phone does that is told to stop."""
        if cancel:
            ua.reply(cancel, 200, "OK", tag="s")
        ua.reply(invite, 487, "Request Terminated", tag="s")

    def reply_mode(self, mode):
        """failure_reply_mode 1 and 2: what led to the failure route is gone, 3: only when a new leg takes its place."""
        for cid, headers, gone in (("none", (), "SIP/2.0 500 I'm terribly sorry, server error occurred (1/TM)"),
                                   ("unresolved", ("X-Next: nowhere.invalid",), "SIP/2.0 478 Unresolvable destination (478/TM)")):
            self.send(cid, self.b.hostport, user="nothing", headers=headers)
            one = self.at(self.b, "INVITE", cid)
            self.b.reply(one, 404, "Not here", tag="b")
            got = self.answer(cid, seconds=16)
            self.check(f"failure_reply_mode {mode}, {cid}", got and got.first == ("SIP/2.0 404 Not here" if mode == 3 else gone), got)

    def relayed_twice(self):
        """A relay that fails does not disarm what the next one is to have."""
        self.send("twice", self.b.hostport, user="twice")
        one = self.at(self.b, "INVITE", "twice", 16)
        if not self.check("the second relay is sent", one):
            return
        self.b.reply(one, 183, "Progress", tag="b")
        got = self.answer("twice", at_least=183)
        self.check("with the reply route", got and got.status == 183 and got.get("X-Marked") == "yes", got)
        self.b.reply(one, 486, "Busy", tag="b")
        got = self.answer("twice")
        self.check("and the failure route", got and got.first == "SIP/2.0 480 shown", got)

    def late_2xx(self):
        """RFC 3261, 16.7, 5: the callee answered when the CANCEL was on its way to it."""
        self.send("late", self.b.hostport)
        one = self.at(self.b, "INVITE", "late")
        self.b.reply(one, 180, "Ringing", tag="b")
        got = self.answer("late")
        self.check("nobody took it", got and got.status == 408, got)
        can = self.at(self.b, "CANCEL", "late")
        self.b.reply(one, 200, "OK", tag="b")
        got = self.a.expect(lambda m: m.status == 200 and m.get("Call-ID") == "late")
        self.check("the late 200 is passed on", got and got.get("To").endswith("tag=b"), got)
        if can:
            self.b.reply(can, 481, "x", tag="b")

    def reasons(self):
        # the second phone says nothing before the first has answered, so its CANCEL has to wait
        self.send("r200", self.b.hostport, self.c.hostport)
        one, two = self.at(self.b, "INVITE", "r200"), self.at(self.c, "INVITE", "r200")
        self.b.reply(one, 200, "OK", tag="b")
        self.answer("r200")
        self.c.reply(two, 180, "Ringing", tag="c")
        for what in ("that had to wait", "that is repeated"):
            can = self.at(self.c, "CANCEL", "r200")
            self.check(f"a CANCEL {what} says why", can and (can.get("Reason") or "").startswith("SIP;cause=200"), can)
        self.stop(self.c, two, can)
        self.send("r603", self.b.hostport, self.c.hostport)
        one, two = self.at(self.b, "INVITE", "r603"), self.at(self.c, "INVITE", "r603")
        self.c.reply(two, 180, "Ringing", tag="c")
        self.answer("r603", at_least=180)
        self.b.reply(one, 603, "Decline", tag="b")
        can = self.at(self.c, "CANCEL", "r603")
        self.check("declined everywhere: so says the CANCEL", can and can.get("Reason") == "SIP;cause=603", can)
        self.stop(self.c, two, can)
        got = self.answer("r603")
        self.check("and the caller is told 603", got and got.status == 603, got)

    def stopped(self):
        """The first provisional is enough to cancel its branch, also for the route that it runs."""
        self.send("stop", self.b.hostport, user="stop")
        one = self.at(self.b, "INVITE", "stop")
        self.b.reply(one, 183, "Progress", tag="b")
        can = self.at(self.b, "CANCEL", "stop", 1)
        self.check("t_cancel_branches() at the first provisional", can)
        self.stop(self.b, one, can)
        got = self.answer("stop")
        self.check("and its 487 is the answer", got and got.status == 487, got)

    def replicated(self):
        for method in ("MESSAGE", "INVITE"):
            self.send(f"copy{method}", self.b.hostport, user="copy", method=method)
            one = self.at(self.b, method, f"copy{method}")
            got = self.answer(f"copy{method}", method)
            self.check(f"{method}: the script's answer to a request that it replicated", got and got.first == "SIP/2.0 200 Mine", got)
            self.b.reply(one, 404, "Copy", tag="b")
            self.check(f"{method}: that of the other server is swallowed", self.answer(f"copy{method}", method, 0.3) is None)
        self.send("noerror", user="noerror")
        got = self.answer("noerror")
        self.check("sl_reply_error() without an error", got and got.first == "SIP/2.0 500 I'm terribly sorry, server error occurred (1/SL)", got)

    def not_sent(self):
        """RFC 3261, 16.9: a branch that could not be sent is no better than 503."""
        for i, to in enumerate((("255.255.255.255", self.b.hostport), (self.b.hostport, "127.0.0.1:1;transport=tcp"))):
            self.send(f"unsent{i}", *to)
            one = self.at(self.b, "INVITE", f"unsent{i}")
            self.b.reply(one, 486, "Busy", tag="b")
            got = self.answer(f"unsent{i}")
            self.check(f"an answer beats {to[i]}, where nothing can be sent to", got and got.status == 486, got)

    def before(self):
        for user in ("flags", "retr", "life"):
            self.send(f"b{user}", user=user, headers=["X-Only: reply"])
            got = self.answer(f"b{user}")
            self.check(f"{user} makes no transaction: t_newtran() does", got and got.status == 480 and got.get("X-Check") is None and got.get("X-New") == "1", got)
        for user in ("flags", "retr", "life", "newtran"):
            cid, branch = f"c{user}", self.a.branch()
            self.send(cid, self.b.hostport, user=user, branch=branch)
            one = self.at(self.b, "INVITE", cid)
            if not self.check(f"{user}: the INVITE is relayed", one):
                continue
            self.b.reply(one, 180, "Ringing", tag="b")
            self.answer(cid, at_least=180)
            self.send(cid, user=user, branch=branch, method="CANCEL")
            got = self.answer(cid, "CANCEL")
            self.check(f"{user}: the CANCEL is answered", got and got.first == "SIP/2.0 200 canceling", got)
            can = self.at(self.b, "CANCEL", cid)
            self.check(f"{user}: and goes to the callee as that of its INVITE", can and can.get("Via") == one.get("Via"), can)
            self.stop(self.b, one, can)
            got = self.answer(cid)
            self.check(f"{user}: the INVITE is over", got and got.status == 487, got)

    def stray(self):
        self.send("stray", self.b.hostport)
        one = self.at(self.b, "INVITE", "stray")
        via = one.all("Via")
        # the transaction is another one: only the form is right
        digits = via[0].index(".", via[0].index("z9hG4bK")) + 1
        other = via[0][:digits] + ("1" if via[0][digits] == "0" else "0") + via[0][digits + 1:]
        one.headers = [(n, other if (n, v) == ("Via", via[0]) else v) for n, v in one.headers]
        self.b.reply(one, 183, "Stray", tag="b")
        one.headers = [(n, via[0] if (n, v) == ("Via", other) else v) for n, v in one.headers]
        self.b.reply(one, 486, "Busy", tag="b")
        got = self.answer("stray", at_least=180)
        self.check("t_check_trans() tells a reply that belongs to nobody", got and got.status == 486, got)

    def suspended(self):
        self.send("susp", self.b.hostport, user="suspend")
        one = self.at(self.b, "INVITE", "susp")
        self.check("t_on_branch() before t_suspend() counts after t_continue()", one and one.get("X-Mark") == "yes", one)
        self.b.reply(one, 486, "Busy", tag="b")
        self.answer("susp")

    def rewritten(self):
        self.send("rewr", self.b.hostport, user="rewrite")
        one = self.at(self.b, "INVITE", "rewr")
        self.check("the branch route's Request-URI", one and one.ruri == f"sip:changed@{self.b.hostport}", one)
        self.b.reply(one, 486, "Busy", tag="b")
        got = self.answer("rewr")
        self.check("the failure route sees that of the request route", got and got.get("X-Uri") == f"sip:rewrite@{self.b.hostport} <null>", got)

    def dropped_challenges(self):
        self.send("chal", self.b.hostport, user="again", headers=[f"X-Next: {self.c.hostport}"])
        one = self.at(self.b, "INVITE", "chal")
        self.b.reply(one, 401, "U", tag="b", headers=["WWW-Authenticate: " + CHALLENGE.format("one")])
        two = self.at(self.c, "INVITE", "chal")
        self.c.reply(two, 407, "U", tag="c", headers=["Proxy-Authenticate: " + CHALLENGE.format("two")])
        got = self.answer("chal")
        self.check("the challenge of a dropped reply is gone", got and got.status == 407 and got.all("WWW-Authenticate") == [] and
                   got.all("Proxy-Authenticate") == [CHALLENGE.format("two")], got)
