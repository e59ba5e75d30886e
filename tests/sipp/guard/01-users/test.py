# SPDX-License-Identifier: BSD-2-Clause
"""conf/guard-users.cfg as printed in the talk: three wrong passwords in a row block the user, not the others."""
import os
import subprocess
import tempfile

import sip


def make_db():
    path = tempfile.mktemp(prefix="ringfort-guard-", suffix=".sqlite")
    schema = open(os.path.join(sip.TOP, "conf/sql/sqlite/standard.sql")).read()
    rows = "".join(f"insert into subscriber (username, domain, password) values ('{u}', 'test.ringfort', 'secret-{u}');" for u in ("alice", "bob"))
    subprocess.run(["sqlite3", path], input=schema + rows, text=True, check=True)
    return path


def attempt(ua, user, password):
    """Final status of one REGISTER with credentials."""
    uri = "sip:test.ringfort"
    to = f"<sip:{user}@test.ringfort>"
    ua.send(ua.request("REGISTER", uri, to, frm=to))
    got = ua.expect(lambda m: m.status is not None)
    if not got or got.status != 401:
        return got.status if got else None
    auth = sip.digest(got.get("WWW-Authenticate"), "REGISTER", uri, user, password)
    ua.send(ua.request("REGISTER", uri, to, frm=to, cseq=2, headers=[f"Authorization: {auth}"]))
    got = ua.expect(lambda m: m.status is not None)
    return got.status if got else None


def run(r, ctx):
    name = "guard/01-users"
    db = make_db()
    cfg = tempfile.mktemp(prefix="ringfort-guard-", suffix=".cfg")
    text = open(os.path.join(ctx.folder, "server.cfg")).read().replace("GUARD_FILE", os.path.join(sip.TOP, "conf/guard-users.cfg"))
    open(cfg, "w").write(text)
    try:
        with sip.Server(ctx.program, cfg, defines=[f'DB_URL="sqlite://{db}"'], args=ctx.args, wait=False) as server:
            ua = sip.Ua(server.host, server.port, user="phone")
            up = sip.wait_until(lambda: attempt(ua, "alice", "secret-alice") == 200, 20, 0.2)
            r.check(f"{name} the right password registers", up, server.log_text()[-2000:])
            for i in range(3):
                r.check(f"{name} wrong password {i + 1} is challenged again", attempt(ua, "alice", "guess") == 401)
            r.check(f"{name} third failure is logged", sip.wait_until(lambda: "auth failed 3rd time - src ip: 127.0.0.1" in server.log_text(), 3))
            r.check(f"{name} then even the right password is refused", attempt(ua, "alice", "secret-alice") == 403)
            r.check(f"{name} another user is not", attempt(ua, "bob", "secret-bob") == 200)
            for i in range(2):
                attempt(ua, "bob", "guess")
            r.check(f"{name} two failures do not block", attempt(ua, "bob", "secret-bob") == 200)
            for i in range(2):
                attempt(ua, "bob", "guess")
            r.check(f"{name} a success starts the count anew", attempt(ua, "bob", "secret-bob") == 200)
            r.check(f"{name} an unknown user looks like a wrong password", attempt(ua, "nobody", "x") == 401)
            ua.close()
    finally:
        for f in (db, cfg, db + "-wal", db + "-shm"):
            if os.path.exists(f):
                os.unlink(f)
