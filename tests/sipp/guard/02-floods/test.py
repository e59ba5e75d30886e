# SPDX-License-Identifier: BSD-2-Clause
"""conf/guard-floods.cfg as printed in the talk: an address that floods is banned, another one is served."""
import os
import tempfile

import sip


def run(r, ctx):
    name = "guard/02-floods"
    cfg = tempfile.mktemp(prefix="ringfort-guard-", suffix=".cfg")
    open(cfg, "w").write("#!KAMAILIO\nlisten=LISTEN_UDP\nlisten=LISTEN_TCP\nlog_stderror=yes\ninclude_file \"" + os.path.join(sip.TOP, "conf/guard-floods.cfg") +
                         '"\nmodparam("jsonrpcs", "dgram_socket", RPC_SOCK)\nmodparam("jsonrpcs", "transport", 4)\n')
    try:
        with sip.Server(ctx.program, cfg, args=ctx.args) as server:
            flood = sip.Ua(server.host, server.port, user="flood", host="127.0.0.9")
            for i in range(400):
                flood.send(flood.request("OPTIONS", "sip:test.ringfort", "<sip:test.ringfort>", callid=f"f{i}"))
            r.check(f"{name} the ban is logged", sip.wait_until(lambda: "ALERT: pike block OPTIONS from sip:flood@test.ringfort (IP:127.0.0.9:" in server.log_text(), 5),
                    server.log_text()[-1500:])
            while flood.expect(200, 0.2):
                pass
            flood.send(flood.request("OPTIONS", "sip:test.ringfort", "<sip:test.ringfort>", callid="after"))
            r.check(f"{name} a banned address hears nothing", flood.expect(200, 0.7) is None)
            other = sip.Ua(server.host, server.port, user="other", host="127.0.0.10")
            other.send(other.request("OPTIONS", "sip:test.ringfort", "<sip:test.ringfort>"))
            r.check(f"{name} another address is served", other.expect(200))
            dump = server.rpc("htable.dump", "ipban")
            r.check(f"{name} htable.dump shows the ban", any(i["name"] == "127.0.0.9" and i["value"] == 1 for s in dump for i in s["slot"]), dump)
            # while pike calls the address hot, its next request would ban it again
            r.check(f"{name} pike cools down", sip.wait_until(lambda: server.rpc("pike.top")["number_of_rows"] == 0, 15, 0.1))
            server.rpc("htable.delete", "ipban", "127.0.0.9")
            ok = sip.wait_until(lambda: (flood.send(flood.request("OPTIONS", "sip:test.ringfort", "<sip:test.ringfort>")), flood.expect(200, 0.5))[1], 15)
            r.check(f"{name} unbanned by RPC it is served again", ok)
            flood.close()
            other.close()
    finally:
        os.unlink(cfg)
