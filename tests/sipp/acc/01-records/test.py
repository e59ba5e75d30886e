# SPDX-License-Identifier: BSD-2-Clause
"""Module acc: every line of the log is what Kamailio 5.6.3 writes (`expected`, recorded there: sorted, with ports and our own tags made alike), and
the database has a row per record. Then workers die between answering a request and recording it: each request has its row, none has two."""
import os
import re
import sqlite3
import time

import sip

KAMAILIO = "kamailio"
EXTRA = ("time_attr", "time_exten", "src_user", "dst_user", "src_ip", "leg_src", "leg_dst")  # columns that the script asks for
POINTS = ["tm.tell.before", "tm.tell.told", "acc.queue.linked", "acc.queue.unlinked"]


def database(version=5):
    path = f"{sip.temp_dir()}/acc.db"
    with sqlite3.connect(path) as c:
        c.executescript(open(f"{sip.TOP}/conf/sql/sqlite/standard.sql").read() + f"update version set table_version = {version} where table_name = 'acc';" +
                        "".join(f"alter table {t} add column {x};" for t in ("acc", "missed_calls") for x in EXTRA))
    return path


def rows(path, table="acc", what="method, from_tag, callid, sip_code, sip_reason, leg_src, leg_dst"):
    with sqlite3.connect(path, timeout=10) as c:
        return c.execute(f"select {what} from {table}").fetchall()


class Callee:
    """Answers INVITEs with a status, BYEs with another; cancelled ones with 487."""

    def __init__(self, server, user):
        self.ua, self.server = sip.Ua(server.host, server.port, user=user), server
        self.user, self.status, self.bye, self.early, self.headers, self.invite = user, (200, "Fine"), 200, False, (), None
        if self.ua.register(user).status != 200:
            raise RuntimeError(f"{user} is not registered")
        self.ua.on = self.on

    def on(self, m):
        tag = "tt" + self.user
        if m.method == "INVITE":
            self.invite = m
            if self.early:
                self.ua.reply(m, 183, "Progress", tag=tag, body="v=0\r\n")
                # of two replies at once two workers may take one each, and then the 200 may be first
                sip.wait_until(lambda: f"call_id={m.get('Call-ID')};code=183" in self.server.log_text(), 5)
            if self.status:
                self.ua.reply(m, *self.status, tag=tag, headers=self.headers)
            elif not self.early:
                self.ua.reply(m, 180, "Ringing", tag=tag)
        elif m.method == "BYE":
            self.ua.reply(m, self.bye, "ByeReply")
        elif m.method == "CANCEL":
            self.ua.reply(m, 200, "OK")
            self.ua.reply(self.invite, 487, "Terminated", tag=tag)
        return m.method in ("INVITE", "BYE", "CANCEL")


def call(server, user, cid, frm="alice", bye=None):
    a = sip.Ua(server.host, server.port, user=frm)
    fm, at = f"<sip:{frm}@test.ringfort>", f"sip:{user}@test.ringfort"
    lines = lambda word: len([l for l in server.log_text().split("\n") if word in l and f"call_id={cid};" in l])
    a.send(a.request("INVITE", at, f"<{at}>", frm=fm, callid=cid, branch="z9hG4bK" + cid))
    m = a.expect(lambda m: m.status is not None and m.status >= 200, 10)
    if m and m.status < 300:
        route = [f"Route: {v}" for v in reversed(m.all("Record-Route"))]
        target = m.get("Contact")[1:].split(">")[0]
        a.send(a.request("ACK", target, m.get("To"), frm=fm, callid=cid, headers=route))
        sip.wait_until(lambda: lines("acknowledged"), 5)
        if bye:
            bye(a, fm, target, m.get("To"), route)
    elif m:
        a.send(a.request("ACK", at, m.get("To"), frm=fm, callid=cid, branch="z9hG4bK" + cid))
    a.close()
    return m and m.status


def calls(server):
    bob, second, silent = Callee(server, "bob"), Callee(server, "second"), Callee(server, "silent")
    silent.ua.on = lambda m: True

    def caller_byes(cid):
        def bye(a, fm, target, to, route):
            a.send(a.request("BYE", target, to, frm=fm, callid=cid, cseq=2, headers=route))
            a.expect(lambda m: m.cseq_method == "BYE", 5)
        return call(server, "bob", cid, bye=bye)

    def callee_byes(a, fm, target, to, route):
        inv = bob.invite
        bob.ua.send(bob.ua.request("BYE", inv.get("Contact")[1:-1], inv.get("From"), frm="<sip:bob@test.ringfort>", from_tag="ttbob", callid="c2", cseq=7,
                                   headers=[f"Route: {v}" for v in inv.all("Record-Route")]))
        got = a.expect("BYE", 5)
        a.reply(got, 200, "Fine")
        bob.ua.expect(200, 5)
    caller_byes("c1")
    call(server, "bob", "c2", bye=callee_byes)
    bob.early = True
    caller_byes("c3")
    bob.bye = 481
    caller_byes("c4")
    call(server, "x-bob-legs", "c5")
    bob.early, bob.status = False, (486, "Busy Now")
    call(server, "bob", "c6")
    call(server, "fail-bob", "c7")
    bob.status = (407, "Auth")
    call(server, "fail-bob", "c8")
    bob.status, bob.headers = (486, "Busy"), ['Reason: Q.850;cause=17;text="User busy"']
    call(server, "fail-bob", "c8b")
    bob.status, bob.headers, second.status = (486, "Busy Now"), (), (200, "Second")
    call(server, "serial-bob", "c9")
    second.status = (480, "Away")
    call(server, "serial-bob", "c10")
    call(server, "serial-bob", "c11", frm="again")
    call(server, "serial-bob", "c12", frm="reply")
    call(server, "local", "c13")
    call(server, "nobody", "c14")
    call(server, "fail-local", "c15")
    call(server, "fail-silent", "c16")
    call(server, "serial-silent", "c17", frm="again")
    m = sip.Ua(server.host, server.port, user="mes")
    for i, user in enumerate(("table", "late", "plain")):
        m.send(m.request("MESSAGE", f"sip:{user}@test.ringfort", f"<sip:{user}@test.ringfort>", callid=f"m{i}"))
        m.expect(2)
    bob.status = None
    a = sip.Ua(server.host, server.port, user="alice")
    for method, want in (("INVITE", 180), ("CANCEL", 487), ("ACK", None)):
        a.send(a.request(method, "sip:fail-bob@test.ringfort", "<sip:bob@test.ringfort>" + (";tag=ttbob" if method == "ACK" else ""), callid="x1", branch="z9hG4bKx1"))
        if want:
            a.expect(want)
    for ua in (bob.ua, second.ua, silent.ua, m, a):
        ua.close()


def lines_of(text):
    out = [line[line.index("ACC: "):] for line in text.split("\n") if "ACC: " in line]
    out = [re.sub(r"timestamp=\d{10};", "timestamp=T;", re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:PORT", line)) for line in out]
    return sorted(re.sub(r"to_tag=[0-9a-f]{16,}[.-][0-9a-z]+", "to_tag=TAG", line) for line in out)


def lines_of_calls(server, want):
    """The lines of calls(), once as many are written as Kamailio writes: the log has a process of its own."""
    sip.wait_until(lambda: len(lines_of(server.log_text())) >= len(want), 10)
    return lines_of(server.log_text())


def expected():
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "expected")) as f:
        return f.read().splitlines()


def log_lines(r, ctx, name):
    want = expected()
    with ctx.server("server.cfg") as server:
        calls(server)
        got = lines_of_calls(server, want)
    for line in sorted(set(want) | set(got)):
        r.check(f"{name} {' '.join(line.split(';')[i] for i in (0, 1, 4, 5))}", want.count(line) == got.count(line), f"{want.count(line)} expected, {got.count(line)} written: {line}")
    for mode, want in ((1, r"timestamp=\d{10};time_exten=\d{1,6};method"), (2, r"timestamp=(\d{10});time_attr=\1\.\d{3};method"),
                       (3, r"timestamp=\d{10};time_attr=20\d\d year;method"), (4, r"timestamp=\d{10};time_attr=20\d\d year;method")):
        with ctx.server("server.cfg", defines=[f"TIME_MODE={mode}"]) as server:
            message(server, "t1")
            r.check(f"{name} time_mode {mode}", sip.wait_until(lambda: re.search(want, server.log_text()), 5), server.log_text()[-300:])


def message(server, cid, seconds=1.0):
    m = sip.Ua(server.host, server.port, user="mes")
    request = m.request("MESSAGE", "sip:plain@test.ringfort", "<sip:plain@test.ringfort>", callid=cid)
    for _ in range(20):
        m.send(request)
        if m.expect(200, seconds):
            break
    m.close()


def database_rows(r, ctx, name):
    path = database()
    with ctx.server("server.cfg", defines=[f'DB="sqlite:///{path}"']) as server:
        calls(server)
        n = len([line for line in lines_of_calls(server, expected()) if "answered" in line or "acknowledged" in line])
        # two calls with two legs each in three records have a row per leg; m0 is recorded by functions
        r.check(f"{name} a row per record and leg", sip.wait_until(lambda: len(rows(path)) == n + 3 + 1, 10), f"{len(rows(path))} rows, {n} lines")
        got = rows(path)
        r.check(f"{name} legs", [g[5:] for g in got if g[2] == "c5"] == [("s2", "d2"), ("s1", "d1")] * 3, got)
        m0 = ("MESSAGE", "fmes", "m0", "299", "own words", None, None), ("MESSAGE", "fmes", "m0", "", "no code here", None, None)
        r.check(f"{name} rows of acc_db_request and acc_request", sip.wait_until(lambda: m0[0] in rows(path, "missed_calls"), 10) and m0[1] in got, got)
        said = [re.search(r"call_id=(\w+)", line).group(1) for line in lines_of(server.log_text()) if "missed" in line]
        r.check(f"{name} missed calls", sip.wait_until(lambda: sorted(g[2] for g in rows(path, "missed_calls")) == sorted(said + ["m0"]), 10), rows(path, "missed_calls"))
        r.check(f"{name} empty instead of null", set(rows(path, "acc", "src_ip")) == {("",)})
    busy = database()
    lock = sqlite3.connect(busy, isolation_level=None)
    with ctx.server("server.cfg", defines=[f'DB="sqlite:///{busy}"']) as server:
        lock.execute("begin exclusive")
        for i in range(30):
            message(server, f"b{i}")
        r.check(f"{name} answered while the database is locked", sip.wait_until(lambda: len(lines_of(server.log_text())) == 30))
        lock.execute("rollback")
        r.check(f"{name} written when it is free", sip.wait_until(lambda: sorted(x[2] for x in rows(busy)) == sorted(f"b{i}" for i in range(30)), 40), rows(busy))
        lock.executescript("delete from acc; alter table acc rename to away")
        message(server, "gone")
        r.check(f"{name} a table that is gone is told", sip.wait_until(lambda: "acc: records are not written" in server.log_text(), 10))
        lock.execute("alter table away rename to acc")
        r.check(f"{name} and nothing is lost", sip.wait_until(lambda: [x[2] for x in rows(busy)] == ["gone"], 40))
        lock.execute("create trigger refuse before insert on acc when new.callid like 'poison%' begin select raise(abort, 'not this one'); end")
        for cid in ("before", "poison1", "poison2", "poison3", "behind"):
            message(server, cid)
        r.check(f"{name} rows that are refused hold up no other", sip.wait_until(lambda: {"before", "behind"} <= {x[2] for x in rows(busy)}, 40), rows(busy))
        told = lambda: all(re.search(f"given up: .*;poison{i};", server.log_text()) for i in (1, 2, 3))
        for i in range(80): # a worker gives a row up when it has one behind it: each gets some
            message(server, f"last{i}")
            if sip.wait_until(told, 0.5):
                break
        r.check(f"{name} and go to the log", told(), server.log_text()[-500:])
    lock.close()
    refused = database()
    other = sqlite3.connect(refused, isolation_level=None)
    with ctx.server("server.cfg", defines=[f'DB="sqlite:///{refused}"', "TRIES=4"]) as server:
        other.execute("create trigger refuse before insert on acc when new.callid like 'poison%' begin select raise(abort, 'not this one'); end")
        message(server, "poison1")
        r.check(f"{name} a row that is refused, with none behind it, is given up", sip.wait_until(lambda: re.search("given up: .*;poison1;.*because: not this one", server.log_text()), 10),
                server.log_text()[-500:])
        r.check(f"{name} it waits no more", sip.wait_until(lambda: "acc:waiting_records = 0" in server.rpc("stats.get_statistics", "acc:"), 5), server.rpc("stats.get_statistics", "acc:"))
        message(server, "fine1")
        r.check(f"{name} the next one is written", sip.wait_until(lambda: [x[2] for x in rows(refused)] == ["fine1"], 10), rows(refused))
        other.execute("begin exclusive")
        message(server, "locked1")
        time_locked = time.monotonic()
        sip.wait_until(lambda: time.monotonic() - time_locked > 6, 7)  # longer than four tries take
        r.check(f"{name} a locked database refuses nothing", "locked1;" not in "".join(re.findall("given up: .*", server.log_text())))
        other.execute("rollback")
        r.check(f"{name} and has it when it is free", sip.wait_until(lambda: "locked1" in [x[2] for x in rows(refused)], 20), rows(refused))
    other.close()
    left = database()
    lock = sqlite3.connect(left, isolation_level=None)
    with ctx.server("server.cfg", defines=[f'DB="sqlite:///{left}"']) as server:
        lock.executescript("delete from acc; alter table acc rename to away")
        for i in range(5):
            message(server, f"e{i}")
        sip.wait_until(lambda: "acc: records are not written" in server.log_text(), 20)
        lock.execute("alter table away rename to acc")
        server.stop()
        r.check(f"{name} what waits at the end is written", sorted(x[2] for x in rows(left)) == [f"e{i}" for i in range(5)], rows(left))
    lock.close()
    for define, says in (('DB="sqlite:////nowhere/acc.db"', "db_url"), (f'DB="sqlite:///{database(4)}"', "version")):
        server = ctx.server("server.cfg", defines=[define], wait=False)
        r.check(f"{name} refused at the start: {says}", server.proc.wait(20) != 0 and f"acc: " in server.log_text() and says in server.log_text(), server.log_text()[-300:])


def deaths(r, ctx, name):
    for point in POINTS:
        path = database()
        with ctx.server("server.cfg", defines=[f'DB="sqlite:///{path}"'], env={"RF_CRASH_AT": f"{point}:5"}) as server:
            for i in range(40):
                message(server, f"d{i}", seconds=2.0)
            if "died of signal 9" not in server.log_text():
                r.skip(f"{name} deaths", "a build without crash points")
                return
            sip.wait_until(lambda: len({x[2] for x in rows(path)}) == 40, 20)
            # what a dead worker left may come a second time: it would be there by now or come with what follows
            message(server, "after", seconds=2.0)
            sip.wait_until(lambda: "after" in {x[2] for x in rows(path)}, 10)
            got = sorted(x[2] for x in rows(path))
            r.check(f"{name} {point}: each has its row, none has two", got == sorted([f"d{i}" for i in range(40)] + ["after"]), got)


def run(r, ctx):
    name = "acc/01-records"
    log_lines(r, ctx, name)
    if KAMAILIO in ctx.program:
        r.skip(f"{name} database", "its db_sqlite gives rows up while another process writes")
        return
    database_rows(r, ctx, name)
    deaths(r, ctx, name)
