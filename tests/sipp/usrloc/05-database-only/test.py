# SPDX-License-Identifier: BSD-2-Clause
"""db_mode 3: temporary GRUUs, unregister() by ruid without a URI; the others with a URI alone. The same rows pass on Kamailio 5.6.3 but those of db_mode 3
that say "ours": it finds no temporary GRUU there, and a worker dies of an unregister() without a URI."""
import re

import sip


def run(r, ctx):
    ours = ctx.program.endswith("ringfort")
    for mode in (3, 0, 2):
        name = f"usrloc/05-database-only db_mode {mode}"
        path, other = sip.database()
        with ctx.server("server.cfg", defines=[f'DB="sqlite:///{path}"', f"MODE={mode}"]) as server:
            ua = sip.Ua(server.host, server.port, user="u")

            def ask(method, cid, uri=None, **kw):
                ua.send(ua.request(method, uri or f"sip:u@{server.host}:{server.port}", "<sip:u@test.ringfort>", callid=cid, contact=False, **kw))
                return ua.expect(lambda m: m.get("Call-ID") == cid and m.cseq_method == method, 5)

            def register(n):
                got = ask("REGISTER", f"reg{n}", uri="sip:test.ringfort", headers=[f'Contact: <sip:c{n}@127.0.0.1:700{n}>;expires=600;+sip.instance="<urn:uuid:{n}>"', "Supported: gruu"])
                m = got and re.search(rf'<sip:c{n}@[^>]*>[^<]*temp-gruu="([^"]+)"', got.raw.decode())
                return m and m.group(1)

            def unregister(cid, uri, ruid):
                got = ask("MESSAGE", cid, headers=[f"X-Uri: {uri}", f"X-Ruid: {ruid}"])
                return got and got.get("X-Code")

            one, two = register(1), register(2)
            r.check(f"{name} temporary GRUUs are given", one and two and one != two, f"{one} {two}")
            if not one or not two:
                continue
            for gruu, to in ((one, "sip:c1@127.0.0.1:7001"), (two, "sip:c2@127.0.0.1:7002")):
                got = ask("INFO", f"look{to}", uri=gruu)
                if ours or mode != 3:
                    r.check(f"{name} {'ours: ' if mode == 3 else ''}a temporary GRUU leads to its contact alone", got and got.get("X-Found") == to, got and got.raw)
            got = ask("INFO", "looknone", uri=one.replace("sip:u", "sip:v", 1))
            r.check(f"{name} one that nobody has", got and got.get("X-Code") == "-1", got and got.raw)
            ruid = re.match(r"sip:(.*)-[0-9a-f]+@", one).group(1)
            if mode == 3 and ours:
                r.check(f"{name} ours: unregister by ruid alone", unregister("un1", "", ruid) == "1")
                r.check(f"{name} ours: it is gone", unregister("un2", "", ruid) == "-3")
            else:
                if mode != 3:
                    r.check(f"{name} unregister needs a URI", unregister("un1", "", ruid) == "-2")
                r.check(f"{name} unregister by both", unregister("un2", "sip:u@test.ringfort", ruid) == "1")
                r.check(f"{name} it is gone", unregister("un3", "sip:u@test.ringfort", ruid) == "-3")
            got = ask("INFO", "look3", uri="sip:u@test.ringfort")
            r.check(f"{name} the other one is not", got and got.get("X-Found") == "sip:c2@127.0.0.1:7002", got and got.raw)
            if mode == 3 and ours:  # a row that no answer has room for
                other.execute("INSERT INTO location (ruid, username, contact, expires) VALUES ('long', 'long', 'sip:' || hex(zeroblob(15000)) || '@h', julianday('now') + 1)")
                ua.send(ua.request("REGISTER", "sip:test.ringfort", "<sip:long@test.ringfort>", callid="long", contact=False))
                got = ua.expect(lambda m: m.get("Call-ID") == "long", 5)
                r.check(f"{name} ours: a contact too long for an answer is left out of it", got and got.status == 200 and got.get("Contact") is None and got.get("Server"), got and got.raw)
            ua.close()
