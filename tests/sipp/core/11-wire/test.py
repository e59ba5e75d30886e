# SPDX-License-Identifier: BSD-2-Clause
"""event_route[network:msg] puts other bytes on the wire than the script sees, both ways, over UDP and TCP; event_route[corex:reply-out] sees replies."""
import base64
import socket

import sip


class Coded:
    """A peer that speaks "B64:" and base64."""

    def __init__(self, server):
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.sock.settimeout(5)
        self.peer = (server.host, server.port)
        self.port = self.sock.getsockname()[1]

    def send(self, text):
        self.sock.sendto(b"B64:" + base64.b64encode(text), self.peer)

    def recv(self):
        """The next message and whether it came encoded; None: none came."""
        try:
            raw = self.sock.recv(65536)
        except OSError:
            return None, False
        coded = raw.startswith(b"B64:")
        return sip.Msg(base64.b64decode(raw[4:]) if coded else raw), coded


def long_enough(headers=()):
    return [*headers, "X-Fill: " + "x" * 400]


def run(r, ctx):
    name = "core/11-wire"
    with ctx.server("server.cfg") as server:
        def n(key):
            try:
                return str(server.rpc("htable.get", "n", key)["item"]["value"])
            except RuntimeError as e:
                return str(e)

        plain = sip.Ua(server.host, server.port)

        def ask(ua, cid, headers=(), user="word", fill=True, seconds=5.0):
            m = ua.request("OPTIONS", f"sip:{user}@test.ringfort", "<sip:x@test.ringfort>", callid=cid, headers=long_enough(headers) if fill else headers)
            ua.send(m)
            return m, ua.expect(lambda a: a.status is not None and a.get("Call-ID") == cid, seconds)

        # UDP, both ways encoded, stateless and stateful; the answer is repeated encoded, too
        a = Coded(server)
        text = plain.request("OPTIONS", "sip:word@test.ringfort", "<sip:x@test.ringfort>", callid="b1", headers=long_enough(["X-Encode: yes", "X-Word: w"]))
        text = text.replace(f":{plain.port}".encode(), f":{a.port}".encode())
        a.send(text)
        m, coded = a.recv()
        r.check(f"{name} decoded, answered, encoded", m and m.status == 200 and coded and m.get("X-Saw") == "w b1 <null> 127.0.0.1", m and m.raw)
        r.check(f"{name} the core's event route sees what came", n("received").startswith("B64:"), n("received"))
        r.check(f"{name} nothing is parsed on its way in", n("in") == f"{4 + len(base64.b64encode(text))} {a.port} []", n("in"))
        r.check(f"{name} nothing is parsed on its way out", n("out").endswith(f" {a.port} udp []"), n("out"))
        text = text.replace(b"b1", b"b2").replace(b"sip:word@", b"sip:stateful@").replace(b"z9hG4bK", b"z9hG4bKtwo")
        for i in range(2):
            a.send(text)
            m, coded = a.recv()
            r.check(f"{name} stateful, {i + 1}", m and m.status == 200 and coded and m.get("Call-ID") == "b2", m and m.raw)
        # through a transaction to another who speaks it, and back
        b = Coded(server)
        text = text.replace(b"b2", b"b3").replace(b"sip:stateful@", b"sip:relay@").replace(b"z9hG4bKtwo", b"z9hG4bKthree").replace(b"X-Fill", f"X-Port: {b.port}\r\nX-Fill".encode())
        a.send(text)
        m, coded = b.recv()
        r.check(f"{name} relayed encoded", m and coded and m.method == "OPTIONS" and len(m.all("Via")) == 2, m and m.raw)
        if m:
            reply = "\r\n".join(["SIP/2.0 200 OK"] + [f"Via: {v}" for v in m.all("Via")] + [f"{h}: {m.get(h)}" for h in ("From", "To", "Call-ID", "CSeq")]
                                + long_enough(["X-Encode: yes", "Content-Length: 0"])) + "\r\n\r\n"
            b.send(reply.encode())
        m, coded = a.recv()
        r.check(f"{name} its answer, too", m and coded and m.status == 200 and len(m.all("Via")) == 1 and m.get("Call-ID") == "b3", m and m.raw)
        # one message as it is among them, and what the route does with others
        _, m = ask(plain, "p1", ["X-Word: secret"])
        r.check(f"{name} a word changed on its way in", m and m.get("X-Saw") == "public p1 <null> 127.0.0.1", m and m.raw)
        _, m = ask(plain, "p2", ["X-Word: secret"], fill=False)
        r.check(f"{name} too short for it", m and m.get("X-Saw") == "secret p2 <null> 127.0.0.1", m and m.raw)
        _, m = ask(plain, "p3", ["X-Word: here", "X-Direct: 1"])
        r.check(f"{name} $rcv(buf) as well", m and m.get("X-Saw") == "there p3 <null> 127.0.0.1", m and m.raw)
        _, m = ask(plain, "p4", ["X-Word: secret", "X-Wait: 1"])
        r.check(f"{name} a route that waits on the way in", m and m.get("X-Saw") == "public p4 <null> 127.0.0.1", m and m.raw)
        plain.send(plain.request("OPTIONS", "sip:word@test.ringfort", "<sip:x@test.ringfort>", callid="gone", headers=long_enough(["X-Nobody: 1"])))
        plain.send(plain.request("OPTIONS", "sip:word@test.ringfort", "<sip:x@test.ringfort>", callid="gone-too-long", headers=["X-Grow: " + "x" * 25000]))
        for i, h in enumerate(("drop", "wait")):
            plain.send(plain.request("OPTIONS", "sip:word@test.ringfort", "<sip:x@test.ringfort>", callid=f"gone{i}", headers=long_enough([f"X-Reply: {h}"])))
        _, m = ask(plain, "p5", ["X-Word: last", "X-Reply: answer"])
        r.check(f"{name} an answer changed on its way out", m and m.get("X-Saw") == "last p5 <null> 127.0.0.1" and m.get("X-Wire") == "rewnsa", m and m.raw)
        r.check(f"{name} more than a message may have is an error, said", sip.wait_until(lambda: "bytes are more than a message may have" in server.log_text()), server.log_text()[-300:])
        r.check(f"{name} waiting on the way out is an error, said", sip.wait_until(lambda: "network:msg] must not wait" in server.log_text()), server.log_text()[-300:])
        r.check(f"{name} dropped both ways", not [m for m in plain.inbox if m.get("Call-ID").startswith("gone")], [m.raw for m in plain.inbox])
        # TCP
        tcp = sip.Ua(server.host, server.port, proto="tcp")
        _, m = ask(tcp, "t1", ["X-Word: secret", "X-Reply: answer"])
        r.check(f"{name} TCP both ways", m and m.get("X-Saw") == "public t1 <null> 127.0.0.1" and m.get("X-Wire") == "rewnsa" and n("out").endswith(f" {tcp.port} tcp []"), m and m.raw)
        _, m = ask(tcp, "t2", ["X-Word: secret", "X-Wait: 1"])
        r.check(f"{name} TCP, waiting", m and m.get("X-Saw") == "public t2 <null> 127.0.0.1", m and m.raw)
        # replies
        _, m = ask(plain, "seen")
        r.check(f"{name} corex:reply-out", m and n("reply") == f"200 seen {plain.port}" and n("incoming") == "-1", (n("reply"), n("incoming")))
        _, m = ask(plain, "silent1", seconds=0.5)
        _, m2 = ask(plain, "silent2", user="stateful", seconds=0.5)
        r.check(f"{name} corex:reply-out drops", m is None and m2 is None, (m, m2))
        for ua in (plain, tcp):
            ua.close()
        a.sock.close()
        b.sock.close()
    with ctx.server("server.cfg", defines=["NO_INTERCEPT"]) as server:
        ua = sip.Ua(server.host, server.port)
        ua.send(ua.request("OPTIONS", "sip:word@test.ringfort", "<sip:x@test.ringfort>", callid="off", headers=long_enough(["X-Word: secret"])))
        m = ua.expect(lambda a: a.status is not None and a.get("Call-ID") == "off")
        r.check(f"{name} off without nio_intercept", m and m.get("X-Saw") == "secret off <null> 127.0.0.1", m and m.raw)
        ua.close()
    for bad, says in (('modparam("corex", "nio_msg_avp", "$var(x)")', "$avp(name) expected"), ('modparam("corex", "nio_msg_avp", "$avp(x) y")', "$avp(name) expected"),
                      ('modparam("corex", "evcb_reply_out", "x")', "event_route[corex:reply-out]")):
        path = f"{sip.temp_dir()}/bad.cfg"
        with open(path, "w") as f:
            f.write('#!KAMAILIO\nlisten=LISTEN_UDP\nloadmodule "pv.so"\nloadmodule "corex.so"\nmodparam("corex", "nio_intercept", 1)\n' + bad + "\nrequest_route { exit; }\n")
        server = ctx.server(path, wait=False)
        r.check(f"{name} refused: {says}", server.proc.wait(20) != 0 and says in server.log_text(), server.log_text()[-300:])
