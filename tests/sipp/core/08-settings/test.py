# SPDX-License-Identifier: BSD-2-Clause
"""A setting changed by RPC holds for the next message of each worker, and is as before after cfg.reset; counters of modules counters and statistics."""
import sip

CHANGES = [(("voice", "num", 7), 0, "7"), (("maxfwd", "max_limit", 44), 1, "44"), (("core", "max_while_loops", 120), 2, "120")]
SRV = ["_sip._udp.x.test", 60, 1, 2, 5070, "h.test", 0]
# of dns.add_srv: which parameter, with what, and the range that it is not in; of Kamailio: cut to 16 bits
RANGES = [(1, -1, "0 to 2147483647"), (2, 65536, "0 to 65535"), (3, -1, "0 to 65535"), (4, 70000, "0 to 65535"), (6, 4, "0 to 3")]
START = ["5060", "70", "100"]


def run(r, ctx):
    name = "core/08-settings"
    with ctx.server("server.cfg") as server:
        a = sip.Ua(server.host, server.port)

        def ask(user="x", headers=()):
            a.send(a.request("OPTIONS", f"sip:{user}@test.ringfort", "<sip:x@test.ringfort>", headers=headers))
            m = a.expect(200)
            return m.get("X-Out").split() if m else []

        def everywhere(want):
            """Twenty messages are taken by both workers."""
            return [v for v in (ask() for _ in range(20)) if v != want][:1]

        def fails(method, *params):
            try:
                return f"no fault: {server.rpc(method, *params)}"
            except RuntimeError as e:
                return "" if "Failed" in str(e) else str(e)

        want = list(START)
        odd = everywhere(want)
        r.check(f"{name} at start", not odd, odd)
        for (group, setting, value), at, text in CHANGES:
            server.rpc("cfg.set_now_int", group, setting, value)
            want[at] = text
            odd = everywhere(want)
            r.check(f"{name} {group}.{setting} is {value} for the next message", not odd, odd)
        r.check(f"{name} out of range", (v := fails("cfg.set_now_int", "maxfwd", "max_limit", 256)) == "", v)
        r.check(f"{name} not there", (v := fails("cfg.set_now_int", "maxfwd", "nosuch", 1)) == "", v)
        r.check(f"{name} no number", (v := fails("cfg.set_now_string", "maxfwd", "max_limit", "many")) == "", v)
        for at, value, range_text in RANGES if "kamailio" not in ctx.program else []:
            v = fails("dns.add_srv", *SRV[:at], value, *SRV[at + 1:])
            r.check(f"{name} dns.add_srv refuses {value} as its parameter {at + 1}", f"Parameter {at + 1}: {value} is not in {range_text}" in v, v)
        server.rpc("dns.add_srv", *SRV)
        v = server.rpc("dns.lookup", "srv", SRV[0])["records"][0]
        r.check(f"{name} dns.add_srv takes what fits", (v["rr_priority"], v["rr_weight"], v["rr_port"]) == (1, 2, 5070), v)
        if "kamailio" not in ctx.program:  # it shows them
            shown = {(p["module"], p["param"]): p["value"] for p in server.rpc("modparam.list")}
            shown = shown[("auth", "secret")], shown[("htable", "db_url")], server.rpc("modparam.gets", "auth", "secret")["value"], \
                server.rpc("modparam.gets", "htable", "db_url")["value"]
            url = "mysql://kamailio:***@db.test/kamailio"
            r.check(f"{name} modparam.* shows no secret", shown == ("***", url, "***", url), shown)
            defines = {d["name"]: d["value"] for d in server.rpc("core.ppdefines_full")}
            r.check(f"{name} nor does core.ppdefines_full", url in defines["DB_URL"] and "S3cret" not in str(defines), defines["DB_URL"])
            r.check(f"{name} nor the log", "S3cret" not in server.log_text())
        server.rpc("cfg.set_delayed_int", "voice", "num", 8)
        server.rpc("cfg.set_delayed_int", "maxfwd", "max_limit", 50)
        odd = everywhere(want)
        r.check(f"{name} delayed changes wait", not odd, odd)
        server.rpc("cfg.commit")
        want = ["8", "50", "120"]
        odd = everywhere(want)
        r.check(f"{name} and come with the commit", not odd, odd)
        server.rpc("cfg.set_now_int", "voice", "num", 5060)  # Kamailio 5.6.3 dies of a cfg.reset of the script's own group
        for group in ("maxfwd", "core"):
            server.rpc("cfg.reset", group)
        odd = everywhere(START)
        r.check(f"{name} as at start again", not odd, odd)

        seen = server.rpc("cnt.get", "t", "seen")
        r.check(f"{name} cnt_add counts three times as much", server.rpc("cnt.get", "script", "plain") == 3 * seen, seen)
        for _ in range(4):
            ask("stat", ["X-Name: b"])
        v = server.rpc("stats.fetchn", "script:")
        r.check(f"{name} update_stat", v["script.a"] == 20 and v["script.b"] == -8, v)
        ask("stat", ["X-Name: nosuch"])
        ask("reset")
        v = server.rpc("stats.fetchn", "script:")
        r.check(f"{name} reset_stat and cnt_reset, but not what is kept", v["script.a"] == 0 and v["script.b"] == -8 and v["script.plain"] == 0, v)
        server.rpc("stats.reset_statistics", "script:", "t:")
        r.check(f"{name} by RPC, too", server.rpc("cnt.get", "t", "seen") == 0 and server.rpc("cnt.get", "script", "b") == -8)
        a.close()
