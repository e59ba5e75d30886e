# SPDX-License-Identifier: BSD-2-Clause
"""db_mode 1 while the database is locked: each change is answered 503 (unregister(): -2), memory is as it was before, and so is the database in the end."""
import sip


def run(r, ctx):
    name = "usrloc/04-write-through"
    if not ctx.program.endswith("ringfort"):
        r.skip(name, "Kamailio keeps in memory what its database refused")
        return
    path, other = sip.database()

    def rows():
        return sorted(other.execute("select contact, cseq from location").fetchall())

    with ctx.server("server.cfg", defines=[f'DB="sqlite:///{path}"']) as server:
        ua = sip.Ua(server.host, server.port, user="u")

        def ask(method, cid, **kw):
            ua.send(ua.request(method, f"sip:u@{server.host}:{server.port}" if method != "REGISTER" else "sip:test.ringfort", "<sip:u@test.ringfort>", callid=cid, contact=False, **kw))
            return ua.expect(lambda m: m.get("Call-ID") == cid and m.cseq_method == method, 5)

        def register(contacts, cseq, callid="reg", headers=()):
            got = ask("REGISTER", callid, cseq=cseq, headers=[f"Contact: {contacts}", *headers])
            return got and got.status

        def listed():
            """[(address, cseq, q)]"""
            try:
                doc = server.rpc("ul.lookup", "location", "u")
            except RuntimeError:
                return []
            found = [x["Contact"] for x in doc["Contacts"]]
            return [(c["Address"], c["CSeq"], c["Q"]) for c in found]

        def found(n):
            got = ask("INFO", f"look{n}")
            return got and got.get("X-Found")

        r.check(f"{name} registered", register("<sip:a@127.0.0.1:7001>;q=0.7;expires=600, <sip:b@127.0.0.1:7002>;q=0.2;expires=600", 1) == 200)
        before, was = listed(), rows()
        here = found(1)
        r.check(f"{name} memory and database have it", len(before) == 2 and len(was) == 2 and here == "sip:a@127.0.0.1:7001 mark=1 n=1", f"{before} {was} {here}")
        other.execute("begin exclusive")
        changes = [("a new contact", "<sip:c@127.0.0.1:7003>;q=0.9;expires=600", ()), ("a refresh", "<sip:a@127.0.0.1:7001>;q=0.1;expires=900", ()),
                   ("a removal", "<sip:a@127.0.0.1:7001>;expires=0", ()), ("all at once", "<sip:a@127.0.0.1:7001>;expires=0, <sip:b@127.0.0.1:7002>;q=0.8;expires=60, "
                                                                           "<sip:d@127.0.0.1:7004>;expires=60", ()),
                   ("everything", "*", ["Expires: 0"]), ("one for all", "<sip:e@127.0.0.1:7005>;expires=60", ["X-One: 1"])]
        for n, (what, contacts, headers) in enumerate(changes, 2):
            r.check(f"{name} {what}: 503", register(contacts, n, headers=headers) == 503)
            r.check(f"{name} {what}: has not happened", listed() == before and found(n) == here, f"{listed()} {found(100 + n)}")
        got = ask("MESSAGE", "unreg1")
        r.check(f"{name} unregister: -2", got and got.get("X-Code") == "-2", got and got.raw)
        r.check(f"{name} unregister: has not happened", listed() == before, listed())
        other.execute("rollback")
        r.check(f"{name} the database is as it was", sip.wait_until(lambda: rows() == was and all(x["Contact"]["State"] == "CS_SYNC" for x in
                                                                     server.rpc("ul.lookup", "location", "u")["Contacts"]), 20), f"{rows()} {was}")
        r.check(f"{name} and goes on", register("<sip:c@127.0.0.1:7003>;q=0.9;expires=600", 20) == 200 and register("<sip:a@127.0.0.1:7001>;q=0.7;expires=0", 21) == 200 and
                sip.wait_until(lambda: rows() == [("sip:b@127.0.0.1:7002", 1), ("sip:c@127.0.0.1:7003", 20)], 10), rows())
        got = ask("MESSAGE", "unreg2")
        r.check(f"{name} unregister", got and got.get("X-Code") == "1" and listed() == [] and sip.wait_until(lambda: rows() == [], 10), got and got.raw)
        ua.close()
    other.close()
