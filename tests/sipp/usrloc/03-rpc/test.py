# SPDX-License-Identifier: BSD-2-Clause
"""ul.*: shapes, values and faults as Kamailio 5.6.3 gives them (it passes too)."""
import json
import re
import socket
import time

import sip

FEW = "Not enough parameters or wrong format"
ADD = ("location", "bob", "sip:b@1.1.1.1", 60, 0.5, "<sip:p;lr>", 1, 64, 5951, "sip:9.9.9.9:9")
BOB = {"Address": "sip:b@1.1.1.1", "Q": 0.5, "Call-ID": "dfjrewr12386fd6-343@kamailio.rpc", "CSeq": 1, "Received": "sip:9.9.9.9:9", "Path": "<sip:p;lr>",
       "State": "CS_NEW", "Flags": 1, "CFlags": 64, "Socket": "[not set]", "Methods": 5951, "Instance": "[not set]", "Reg-Id": 0, "Server-Id": 0, "Tcpconn-Id": -1,
       "Keepalive": 0, "KA-Roundtrip": 0}
ALICE = {"Address": "sip:alice@10.0.0.1", "Q": 0.3, "Call-ID": "cid1", "CSeq": 1, "User-Agent": "n/a", "Received": "[not set]", "Path": "[not set]", "State": "CS_NEW",
         "Flags": 0, "CFlags": 0, "Methods": 4294967295, "Instance": "[not set]", "Tcpconn-Id": -1, "KA-Roundtrip": 0}
FIELDS = ["Address", "Expires", "Q", "Call-ID", "CSeq", "User-Agent", "Received", "Path", "State", "Flags", "CFlags", "Socket", "Methods", "Ruid", "Instance", "Reg-Id",
          "Server-Id", "Tcpconn-Id", "Keepalive", "Last-Keepalive", "KA-Roundtrip", "Last-Modified"]
# command, parameters, what it answers: a fault's code and text, None for an empty result
ROWS = [
    ("ul.lookup", (), (500, "Not enough parameters (table and AOR to lookup)")),
    ("ul.lookup", ("location",), (500, "Not enough parameters (table and AOR to lookup)")),
    ("ul.lookup", ("nix", "a"), (500, "Domain table not found")),
    ("ul.lookup", ("location", "nobody"), (500, "AOR not found in location table")),
    ("ul.add", ADD, None),
    ("ul.add", ADD[:2], (500, FEW)),
    ("ul.add", ("nix",) + ADD[1:], (500, "Domain table not found")),
    ("ul.add", ("location", "zoe", "sip:z@1.1.1.1", 60, 0.5, "0", -1, 0, 4294967295), None),
    ("ul.rm", ("location", "zoe"), None),
    ("ul.rm_contact", ("location", "bob", "sip:zzz"), (404, "Contact not found")),
    ("ul.rm_contact", ("location", "zzz", "sip:zzz"), (404, "AOR not found")),
    ("ul.rm", ("location", "nobody"), None),
    ("ul.rm", ("location",), (500, "Not enough parameters (table and AOR to lookup)")),
    ("ul.rm", ("nix", "a"), (500, "Domain table not found")),
    ("ul.flush", (), None),
    ("ul.db_users", ("location",), (500, "Command is not supported in db_mode=0")),
    ("ul.db_contacts", ("location",), (500, "Command is not supported in db_mode=0")),
    ("ul.db_expired_contacts", ("location",), (500, "Command is not supported in db_mode=0")),
]

# ours: Kamailio cuts them to 32 bits
WRONG = [("ul.add", ADD[:6] + (1 << 32,) + ADD[7:], (400, "Parameter 7: 4294967296 is not in -2147483648 to 4294967295")),
         ("ul.add", ADD[:7] + (-(1 << 32), 5951), (400, "Parameter 8: -4294967296 is not in -2147483648 to 4294967295")),
         ("ul.add", ADD[:8] + (1 << 40,), (400, "Parameter 9: 1099511627776 is not in -2147483648 to 4294967295"))]


def call(server, method, *params):
    me = f"{server.dir}/call-{time.monotonic_ns()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(me)
        s.settimeout(5)
        s.sendto(json.dumps({"jsonrpc": "2.0", "method": method, "params": list(params), "id": 1}).encode(), server.rpc_path)
        doc = json.loads(s.recv(1 << 20))
    return (doc["error"]["code"], doc["error"]["message"]) if "error" in doc else doc["result"]


def agrees(got, want):
    return all(got.get(k) == v for k, v in want.items())


def run(r, ctx):
    name = "usrloc/03-rpc"
    with ctx.server("server.cfg") as server:
        ua = sip.Ua(server.host, server.port, user="alice")
        ua.register("alice", expires=600, contact="<sip:alice@10.0.0.1>;q=0.3", callid="cid1")
        for method, params, want in ROWS + WRONG * ("kamailio" not in ctx.program):
            got = call(server, method, *params)
            r.check(f"{name} {method} {' '.join(map(str, params))}", got == want if want else got in ({}, None, [], ""), got)
        for user, want in (("alice", ALICE), ("ALICE@some.where", ALICE), ("bob", BOB)):
            got = call(server, "ul.lookup", "location", user)
            one = got["Contacts"][0]["Contact"]
            r.check(f"{name} ul.lookup {user}", list(got) == ["AoR", "Contacts"] and got["AoR"] == user.split("@")[0].lower() and list(one) == FIELDS and agrees(one, want), got)
        r.check(f"{name} ul.add: its ruid and User-Agent", re.fullmatch(r"ulcx-[0-9a-f]+-[0-9a-f]+-[0-9a-f]+", one["Ruid"])
                and one["User-Agent"].endswith(" SIP Router - RPC Server") and 55 < one["Expires"] <= 60, one)
        got = call(server, "ul.dump", "brief")["Domains"][0]["Domain"]
        r.check(f"{name} ul.dump brief", sorted(a["AoR"] for a in got["AoRs"]) == ["alice", "bob"] and got["Stats"]["Records"] == 2, got)
        got = call(server, "ul.dump")["Domains"][0]["Domain"]
        r.check(f"{name} ul.dump", list(got) == ["Domain", "Size", "AoRs", "Stats"] and
                sorted((a["Info"]["AoR"], a["Info"]["Contacts"][0]["Contact"]["Address"]) for a in got["AoRs"]) == [("alice", ALICE["Address"]), ("bob", BOB["Address"])], got)
        call(server, "ul.rm_contact", "location", "bob", "sip:b@1.1.1.1")
        got = call(server, "ul.lookup", "location", "bob")
        r.check(f"{name} ul.rm_contact: gone", got == (500, "AOR not found in location table"), got)
        call(server, "ul.rm", "location", "alice")
        r.check(f"{name} ul.rm: gone", call(server, "ul.lookup", "location", "alice") == (500, "AOR not found in location table"))
        ua.close()
