# SPDX-License-Identifier: BSD-2-Clause
"""exec() without holding up others, cfg_select, flags of attributes, udp_mtu_try_proto; what is refused at load."""
import os
import subprocess
import tempfile

import sip

REFUSED = [("forward_sctp(1.2.3.4, 5060);", "SCTP is not built in"), ('cfg_select("nothing", 1);', "no group 'nothing'"),
           ("setavpflag($rU, seen);", "$avp(name) expected")]


def run(r, ctx):
    name = "core/01-commands"
    with tempfile.TemporaryDirectory(prefix="ringfort-core-") as tmp:
        text = open(os.path.join(ctx.folder, "server.cfg")).read().replace("EXEC_OUT", f"{tmp}/out")
        cfg = f"{tmp}/server.cfg"
        open(cfg, "w").write(text.replace("children=1\n", "children=1\nudp_mtu = 600\n", 1))
        with sip.Server(ctx.program, cfg, args=ctx.args) as server:
            ua = sip.Ua(server.host, server.port)

            def ask(user, cid):
                ua.send(ua.request("OPTIONS", f"sip:{user}@test.ringfort", "<sip:x@test.ringfort>", callid=cid))

            def got(cid):
                m = ua.expect(lambda m: m.status == 200 and m.get("Call-ID") == cid)
                return m and m.get("X-Got")

            ask("exec", "e1")
            ask("now", "e2")
            first = ua.expect(200)
            r.check(f"{name} others do not wait for exec()", first and first.get("Call-ID") == "e2", first and first.raw)
            r.check(f"{name} the script goes on after it", got("e1") == "after")
            r.check(f"{name} and the command has run", os.path.exists(f"{tmp}/out"))
            ask("cfg", "c1")
            v = got("c1")
            r.check(f"{name} cfg_select and cfg_reset", v == "10,20,10", v)
            ask("avp", "a1")
            v = got("a1")
            r.check(f"{name} flags of attributes", v == "cd", v)
            tcp = sip.Ua(server.host, server.port, "tcp", listen=True)
            for size, proto, how in ((10, None, "relay"), (700, "TCP", "relay"), (10, None, "forward"), (700, "TCP", "forward")):
                cid = f"mtu{size}{how}"
                ua.send(ua.request("MESSAGE", "sip:mtu@test.ringfort", "<sip:x@test.ringfort>", callid=cid, body="x" * size, ctype="text/plain",
                                   headers=[f"X-Port: {tcp.port}", f"X-How: {how}"]))
                m = tcp.expect("MESSAGE", 3 if proto else 0.5)
                r.check(f"{name} {how}: {size} bytes of body go by {proto or 'UDP'}", bool(m) == bool(proto) and (not m or "/TCP" in m.get("Via")), m and m.raw)
            ua.close()
            tcp.close()
        for bad, why in REFUSED:
            open(cfg, "w").write(text.replace('	$var(got) = "";', "	" + bad, 1))
            p = subprocess.run([ctx.program, "-f", cfg, "-c", "-E", "-w", tmp, "-Y", tmp, "-A", "LISTEN_UDP=udp:127.0.0.1:5060", "-A", "LISTEN_TCP=tcp:127.0.0.1:5060",
                                "-A", f'RPC_SOCK="{tmp}/s"'], capture_output=True, text=True, timeout=20)
            r.check(f"{name} refused at load: {bad}", p.returncode != 0 and why in p.stdout + p.stderr, p.stderr[-500:])
