# SPDX-License-Identifier: BSD-2-Clause
"""db_mode 1: a worker dies between the database's refusal and the undoing of what it refused, or behind that. Nobody was told anything: memory and database
agree in the end, on the change whole or on what was before, and the same REGISTER once more is taken."""
import os

import sip

BEFORE = [("sip:a@127.0.0.1:7001", 1), ("sip:b@127.0.0.1:7002", 1)]
AFTER = [("sip:a@127.0.0.1:7001", 2), ("sip:c@127.0.0.1:7003", 2)]


def run(r, ctx):
    name = "usrloc/06-write-through-deaths"
    if not ctx.program.endswith("ringfort"):
        r.skip(name, "a dead worker ends Kamailio")
        return
    cfg = os.path.join(ctx.folder, "..", "04-write-through", "server.cfg")
    for point, left in (("usrloc.undo.begin", AFTER), ("usrloc.undo.end", BEFORE)):
        path, other = sip.database()

        def rows():
            return sorted(other.execute("select contact, cseq from location").fetchall())

        with ctx.server(cfg, defines=[f'DB="sqlite:///{path}"'], env={"RF_CRASH_AT": point}) as server:
            ua = sip.Ua(server.host, server.port, user="u")

            def register(contacts, cseq, seconds=5):
                ua.send(ua.request("REGISTER", "sip:test.ringfort", "<sip:u@test.ringfort>", callid="reg", contact=False, cseq=cseq, headers=[f"Contact: {contacts}"]))
                got = ua.expect(lambda m: m.cseq_method == "REGISTER", seconds)
                return got and got.status

            def listed(state=None):
                try:
                    found = [x["Contact"] for x in server.rpc("ul.lookup", "location", "u")["Contacts"]]
                except RuntimeError:
                    return []
                return sorted((c["Address"], c["CSeq"]) for c in found if state is None or c["State"] == state)

            def settled(want):
                return sip.wait_until(lambda: rows() == want and listed() == want and listed("CS_SYNC") == want, 20)

            change = "<sip:a@127.0.0.1:7001>;expires=900, <sip:b@127.0.0.1:7002>;expires=0, <sip:c@127.0.0.1:7003>;expires=600"
            r.check(f"{name} {point}: registered", register("<sip:a@127.0.0.1:7001>;expires=600, <sip:b@127.0.0.1:7002>;expires=600", 1) == 200 and settled(BEFORE), rows())
            other.execute("begin exclusive")
            got = register(change, 2, 3)
            other.execute("rollback")
            if "died of signal 9" not in server.log_text():
                r.skip(f"{name} {point}", "a build without crash points")
                continue
            r.check(f"{name} {point}: nobody was told", got is None, got)
            r.check(f"{name} {point}: memory and database agree", settled(left), f"{rows()} {listed()} {listed('CS_SYNC')}, expected {left}")
            r.check(f"{name} {point}: once more", register(change, 2) == 200 and settled(AFTER), f"{rows()} {listed()}")
            ua.close()
        other.close()
