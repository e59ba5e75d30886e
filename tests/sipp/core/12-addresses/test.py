# SPDX-License-Identifier: BSD-2-Clause
"""`received` and names in Via (dns, rev_dns), how addresses are written and hosts are read, the commands dns.*, event_route[core:modinit-before]."""
import re
import socket
import time

import dns
import sip

NAME = "core/12-addresses"
ZONE = {("me.test", "A"): ["10.9.9.9", "127.0.0.1"], ("other.test", "A"): ["10.9.9.9"], ("1.0.0.127.in-addr.arpa", "PTR"): ["back.test"],
        ("six.test", "AAAA"): ["2001:db8::5"], ("here.test", "A"): ["127.0.0.1"]}


def marks(server):
    return re.findall(r"@@ ?(.*?)@@", server.log_text())


def via_of(ua, host, method="OPTIONS", rport="", seconds=5):
    """The top Via of the answer to a request whose Via has that host."""
    branch = ua.branch()
    raw = ua.request(method, "sip:x@x.test", "<sip:x@x.test>", callid=branch, branch=branch).decode()
    ua.send(re.sub(r"^Via: .*$", f"Via: SIP/2.0/UDP {host}:{ua.port};branch={branch}{rport}\r", raw, count=1, flags=re.M))
    got = ua.expect(lambda m: m.status and m.get("Call-ID") == branch, seconds)
    return got and got.get("Via")


def names(r, ctx):
    zone = dns.Server(ZONE, silent=["silent.test"])
    for defines, same in (((), set()), (("DNS",), {"me.test", "ME.test"}), (("REV",), {"back.test"}), (("DNS", "REV"), {"me.test", "ME.test", "back.test"})):
        with ctx.server("server.cfg", defines=defines, env={"RINGFORT_DNS_SERVERS": zone.at}) as server:
            ua = sip.Ua(server.host, server.port)
            for method in ("OPTIONS", "MESSAGE"):
                for host in ("me.test", "ME.test", "other.test", "back.test", "nosuch.test", "127.0.0.2", "127.0.0.1"):
                    via = via_of(ua, host, method)
                    want = host not in same and host != "127.0.0.1"
                    r.check(f"{NAME} {'+'.join(defines) or 'without'} {method} {host}", via and ("received=127.0.0.1" in via) == want, via)
            via = via_of(ua, "me.test", rport=";rport")
            r.check(f"{NAME} {'+'.join(defines) or 'without'} rport tells both", via and "received=127.0.0.1" in via and f"rport={ua.port}" in via, via)
            ua.close()
    with ctx.server("server.cfg", defines=("DNS", "REV"), env={"RINGFORT_DNS_SERVERS": zone.at}) as server:
        ua, quick = sip.Ua(server.host, server.port), sip.Ua(server.host, server.port)
        zone.silent.add("1.0.0.127.in-addr.arpa")
        begin = time.monotonic()
        ua.send(re.sub(r"^Via: .*$", f"Via: SIP/2.0/UDP silent.test:{ua.port};branch=z9hG4bKsilent\r", ua.request("OPTIONS", "sip:x@x.test", "<sip:x@x.test>", callid="silent").decode(), count=1, flags=re.M))
        r.check(f"{NAME} the question is asked", sip.wait_until(lambda: ("silent.test", "A") in zone.asked, 5))
        slowest = 0
        for _ in range(20):
            at = time.monotonic()
            r.check(f"{NAME} nobody else waits", via_of(quick, "127.0.0.1"))
            slowest = max(slowest, time.monotonic() - at)
        r.check(f"{NAME} nobody else waits long", slowest < 0.5 and ua.expect(lambda m: True, 0.01) is None, slowest)
        got = ua.expect(200, 8)
        took = time.monotonic() - begin
        r.check(f"{NAME} names that nobody knows in time", got and "received=127.0.0.1" in got.get("Via") and took < 7, (got and got.get("Via"), took))
        ua.close()
        quick.close()
    zone.close()


class Flood(set):
    def __contains__(self, name):
        return name.endswith(".flood.test")


def flood(r, ctx):
    """Names in Via that nobody answers for take no room from the names that requests go to."""
    zone = dns.Server(ZONE, silent=Flood())
    with ctx.server("server.cfg", defines=("DNS",), env={"RINGFORT_DNS_SERVERS": zone.at}) as server:
        a, b = sip.Ua(server.host, server.port), sip.Ua(server.host, server.port)
        for i in range(10000):  # more than two workers ask at once, within the life of a question
            a.send(f"OPTIONS sip:x@x.test SIP/2.0\r\nVia: SIP/2.0/UDP h{i}.flood.test:9;branch=z9hG4bK{i}\r\nFrom: <sip:a@a>;tag=1\r\nTo: <sip:x@x.test>\r\nCall-ID: {i}\r\n"
                   "CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n")
            if i % 200 == 199:
                sip.options(server.host, server.port)  # else the socket's buffer overflows
        a.send(a.request("OPTIONS", "sip:on@x.test", "<sip:on@x.test>", callid="on", headers=[f"X-Port: {b.port}"]))
        r.check(f"{NAME} a flood of names in Via, and a request to a name", b.expect(lambda m: m.method == "OPTIONS" and m.get("Call-ID") == "on", 4))
        a.close()
        b.close()
    zone.close()


def commands(r, ctx):
    zone = dns.Server(ZONE, silent=["silent.test"])
    with ctx.server("server.cfg", env={"RINGFORT_DNS_SERVERS": zone.at}) as server:
        def fails(says, *call):
            try:
                got = server.rpc(*call, timeout=8)
            except RuntimeError as e:
                got = str(e)
            r.check(f"{NAME} {' '.join(str(x) for x in call)}", says in str(got), got)

        got = server.rpc("dns.lookup", "A", "Me.Test.")
        r.check(f"{NAME} dns.lookup asks", got["name"] == "me.test" and [x["rr_ip"] for x in got["records"]] == ["10.9.9.9", "127.0.0.1"], got)
        n = len(zone.asked)
        got = server.rpc("dns.lookup", "a", "me.test")
        r.check(f"{NAME} dns.lookup of what is known does not", len(zone.asked) == n and len(got["records"]) == 2, zone.asked)
        got = server.rpc("dns.lookup", "ptr", "1.0.0.127.in-addr.arpa")
        r.check(f"{NAME} dns.lookup of a PTR", got["type"] == "PTR" and got["records"][0]["rr_name"] == "back.test", got)
        got = server.rpc("dns.lookup", "aaaa", "six.test")
        r.check(f"{NAME} dns.lookup of an AAAA", got["records"][0]["rr_ip"] == "2001:db8::5", got)
        fails("Not found", "dns.lookup", "a", "nosuch.test")
        fails("Not found", "dns.lookup", "cname", "me.test")
        fails("Invalid type", "dns.lookup", "b", "me.test")
        fails("Not found", "dns.lookup", "a", "silent.test")
        got = server.rpc("dns.stats_get", "all", 0)
        r.check(f"{NAME} dns.stats_get", got["dns_req_cnt"] >= 7 and got["dns_cache_hit_cnt"] >= 1 and got["dns_lru_cnt"] == 0, got)
        server.rpc("dns.stats_get", "dns_req_cnt", 1)
        r.check(f"{NAME} dns.stats_get resets", server.rpc("dns.stats_get", "dns_req_cnt", 0)["dns_req_cnt"] == 0)
        fails("No such counter", "dns.stats_get", "foo", 0)
        r.check(f"{NAME} name servers are up", server.rpc("dns.get_server_state") == 1)
        server.rpc("dns.set_server_state", 0)
        n = len(zone.asked)
        fails("Not found", "dns.lookup", "a", "other.test")
        r.check(f"{NAME} and are not asked when told to be down", server.rpc("dns.get_server_state") == 0 and len(zone.asked) == n, zone.asked[n:])
        server.rpc("dns.set_server_state", 1)
        got = server.rpc("dns.lookup", "a", "other.test")
        r.check(f"{NAME} up again", got["records"][0]["rr_ip"] == "10.9.9.9", got)
        server.rpc("dns.delete_ptr", "1.0.0.127.in-addr.arpa")
        fails("Not found", "dns.delete_ptr", "1.0.0.127.in-addr.arpa")
    zone.close()


def first_event(r, ctx):
    with ctx.server("server.cfg") as server:
        r.check(f"{NAME} core:modinit-before ran once, before all", sip.wait_until(lambda: marks(server), 3) and marks(server)[0] == "first: OPTIONS" and sum(m.startswith("first") for m in marks(server)) == 1, marks(server))
        r.check(f"{NAME} what it set is there", sip.wait_until(lambda: any("shv=7" in m for m in marks(server)), 3), marks(server))


def styles(r, ctx):
    if not sip.has_ipv6():
        r.skip(f"{NAME} ipv6_hex_style", "no IPv6 loopback on this machine")
        return
    for style, want in (("a", "0:0:0:0:0:0:0:1"), ("c", "::1")):
        with ctx.server("server.cfg", host="::1", defines=[f'STYLE="{style}"']) as server:
            r.check(f"{NAME} ipv6_hex_style {style}", sip.wait_until(lambda: any(f"si={want} " in m for m in marks(server)), 3), marks(server)[-1:])


def hosts(r, ctx):
    for chars, want in (((), 400), (("CHARS",), 200)):
        with ctx.server("server.cfg", defines=chars) as server:
            ua = sip.Ua(server.host, server.port)
            ua.send(ua.request("OPTIONS", "sip:x@ho~st!:5070", "<sip:x@x.test>"))
            got = ua.expect(lambda m: m.status, 3)
            r.check(f"{NAME} uri_host_extra_chars {chars}", got and got.status == want, got and got.first)
            if chars:
                r.check(f"{NAME} the host", sip.wait_until(lambda: any("rd=ho~st!" in m for m in marks(server)), 3), marks(server)[-1:])
            ua.close()


def run(r, ctx):
    first_event(r, ctx)
    hosts(r, ctx)
    styles(r, ctx)
    commands(r, ctx)
    names(r, ctx)
    flood(r, ctx)
