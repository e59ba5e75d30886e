# SPDX-License-Identifier: BSD-2-Clause
"""Answers to REGISTER, field by field: refusals with their reason, limits, Path, and what RFC 5626 (outbound) asks for. The same rows pass on Kamailio 5.6.3
unless they say "ours": there it breaks its own documentation (421), or takes what is no SIP."""
import re

import sip

URN = "<urn:uuid:00000000-0000-1000-8000-000A95A0E128>"
INST = f';+sip.instance="{URN}"'
FLOW = INST + ";reg-id=1"
OB = "Supported: path, outbound"
EDGE, EDGE_OLD = "Path: <sip:p1.example;lr;ob>", "Path: <sip:p1.example;lr>"
REASON = "P-Registrar-Error"

# name, Contact parameters or fields, more fields ("User": of the AoR), status, {field: its value, None: not there}
ROWS = [
    ("a plain one", "", [], 200, {"Contact": "<sip:u@192.0.2.1>;expires=500"}),
    ("expires below the limit", ";expires=10", [], 423, {"Min-Expires": "60", REASON: "Interval too brief"}),
    ("the field below the limit", "", ["Expires: 10"], 423, {"Min-Expires": "60"}),
    ("expires above the limit", ";expires=99999", [], 200, {"Contact": "<sip:u@192.0.2.1>;expires=7200"}),
    ("expires that is no number", ";expires=abc", ["Expires: 200"], 200, {"Contact": "<sip:u@192.0.2.1>;expires=500"}),
    ("expires of 33 bits", ";expires=4294967296", [], 200, {"Contact": "<sip:u@192.0.2.1>;expires=500"}),
    ("an empty Expires", "", ["Expires: "], 400, {REASON: "Expires parse error"}),
    ("q of 7", ";q=7", [], 400, {REASON: "Invalid q param in contact"}),
    ("q of a point", ";q=.", [], 400, {REASON: "Invalid q param in contact"}),
    ("q without its 0", ";q=.5", [], 200, {"Contact": "<sip:u@192.0.2.1>;q=0.5;expires=500"}),
    ("q in quotes", ';q="0.5"', [], 200, {"Contact": "<sip:u@192.0.2.1>;q=0.5;expires=500"}),
    ("star without Expires", ["Contact: *"], [], 400, {REASON: "* used in contact and expires is not zero"}),
    ("star and another", ["Contact: *", "Contact: <sip:u@192.0.2.1>"], ["Expires: 0"], 400, {REASON: "* used in contact and more than 1 contact"}),
    ("an empty Contact", ["Contact: "], [], 400, {REASON: "Contact parse error"}),
    ("too long", ["Contact: <sip:" + "x" * 600 + "@192.0.2.1>"], [], 400, {REASON: "Contact/received too long"}),
    ("too many", ["Contact: <sip:a@192.0.2.1>, <sip:b@192.0.2.1>, <sip:c@192.0.2.1>"], [], 503, {REASON: "Too many registered contacts", "Retry-After": "30"}),
    ("two, by q", ["Contact: <sip:a@192.0.2.1>, <sip:b@192.0.2.1>;q=0.7"], [], 200, {"Contact": "<sip:b@192.0.2.1>;q=0.7;expires=500, <sip:a@192.0.2.1>;expires=500"}),
    ("Path, not supported", "", [EDGE_OLD], 420, {"Unsupported": "path", REASON: "No support for found Path indicated"}),
    ("Path", "", [EDGE_OLD, "Supported: path"], 200, {"Path": "<sip:p1.example;lr>"}),
    ("Path of a strict router", "", ["Path: <sip:p1.example>", "Supported: path"], 400, {REASON: "Path parse error"}),
    ("received", ';received="sip:1.2.3.4:5"', [], 200, {"Contact": '<sip:u@192.0.2.1>;expires=500;received="sip:1.2.3.4:5"'}),
    ("control characters in the user", [], ["User: a%0d%0aX-Bad:%20yes"], 400, {REASON: "Error while unescaping username", "X-Bad": None}),
    ("ours: a byte 0 in the user", INST, ["User: a%00", "Supported: gruu"], 200, {"PubGruu": f"sip:a%00@test.ringfort;gr={URN[1:-1]}"}),
    ("control characters in received of Path", "", ["Path: <sip:p1.example;lr;received=sip:1.2.3.4%0d%0aX-Bad:%20yes>", "Supported: path"], 400,
     {REASON: "Path parse error", "X-Bad": None}),
    ("ours: a quote in received of Path", "", ["Path: <sip:p1.example;lr;received=sip:1.2.3.4%22>", "Supported: path"], 400, {REASON: "Path parse error"}),
    ("ours: a GRUU of a user with odd bytes", INST, ["User: a%22%3e%40b", "Supported: gruu"], 200, {"PubGruu": f"sip:a%22%3e%40b@test.ringfort;gr={URN[1:-1]}"}),
    ("ours: no scheme", ["Contact: <foo>"], [], 400, {REASON: "Contact parse error"}),
]

# mode, flow_timer, name, Contact parameters, fields, number of Vias, status, {...}
OFF, ON, FULL = (0, 0), (1, 25), (2, 25)
NO = {"Supported": None, "Require": None, "Flow-Timer": None}
HINT = {"Supported": "outbound", "Require": None, "Flow-Timer": None}
YES = {"Supported": "outbound", "Require": "outbound", "Flow-Timer": "25"}
LACKS = {REASON: "No support for Outbound on edge proxy", **NO}
OUTBOUND = [
    (OFF, "supported", FLOW, [OB], 1, 200, {"Contact": f'<sip:u@192.0.2.1>;expires=500;+sip.instance="{URN}";reg-id=1', **NO}),
    (OFF, "required", FLOW, ["Require: outbound"], 1, 420, {"Unsupported": "outbound", REASON: "No support for Outbound on server"}),
    (OFF, "through an old edge", FLOW, [OB, EDGE_OLD], 2, 200, NO),
    (ON, "not asked for", "", [], 1, 200, HINT),
    (ON, "supported", FLOW, [OB], 1, 200, YES),
    (ON, "supported in another field", FLOW, ["Supported: path", "Supported: outbound"], 1, 200, YES),
    (ON, "required", FLOW, ["Require: outbound"], 1, 200, YES),
    (ON, "a query", None, [OB], 1, 200, YES),
    (ON, "through an edge that keeps flows", FLOW, [OB, EDGE], 2, 200, YES),
    (ON, "the first Path counts", FLOW, [OB, EDGE, EDGE_OLD], 2, 200, YES),
    (ON, "and not the last", FLOW, [OB, EDGE_OLD, EDGE], 2, 439, LACKS),
    (ON, "through one that does not", FLOW, [OB, EDGE_OLD], 2, 439, LACKS),
    (ON, "through one without Path", FLOW, [OB], 2, 439, LACKS),
    (ON, "without reg-id it is no flow", INST, [OB, EDGE_OLD], 2, 200, YES),
    (FULL, "supported", FLOW, [OB], 1, 200, YES),
    (FULL, "ours: not asked for", FLOW, [], 1, 421, {"Require": "outbound", REASON: "No support for Outbound indicated", "Flow-Timer": None}),
]


def register(server, contact, fields, vias=1):
    ua = sip.Ua(server.host, server.port, user="u")
    own = [f[6:] for f in fields if f.startswith("User: ")]
    user, fields = own[0] if own else f"u{ua.port}", [f for f in fields if not f.startswith("User: ")]
    lines = contact if isinstance(contact, list) else [] if contact is None else [f"Contact: <sip:u@192.0.2.1>{contact}"]
    text = ua.request("REGISTER", "sip:test.ringfort", f"<sip:{user}@test.ringfort>", frm=f"<sip:{user}@test.ringfort>", headers=lines + fields, contact=False)
    if vias == 2:
        text = text.replace(b"Max-Forwards", b"Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKsecond\r\nMax-Forwards", 1)
    ua.send(text)
    got = ua.expect(lambda m: m.status is not None)
    ua.close()
    return got


def field(got, name):
    gruu = re.search('pub-gruu="([^"]*)"', got.get("Contact") or "") if name == "PubGruu" else None
    return gruu[1] if gruu else got.get(name)


def same(got, status, fields):
    return got and got.status == status and all(field(got, k) == v for k, v in fields.items())


def run(r, ctx):
    name = "registrar/02-answers"
    ours = "kamailio" not in ctx.program
    with ctx.server("server.cfg", defines=["OB_MODE=0", "OB_TIMER=0"]) as server:
        for what, contact, fields, status, want in ROWS:
            if ours or not what.startswith("ours"):
                got = register(server, contact, fields)
                r.check(f"{name} {what}", same(got, status, want), got and got.raw)
    for mode in (OFF, ON, FULL):
        with ctx.server("server.cfg", defines=[f"OB_MODE={mode[0]}", f"OB_TIMER={mode[1]}"]) as server:
            for at, what, contact, fields, vias, status, want in OUTBOUND:
                if at == mode and (ours or not what.startswith("ours")):
                    got = register(server, contact, fields, vias)
                    r.check(f"{name} outbound_mode {mode[0]}: {what}", same(got, status, want), got and got.raw)
