# SPDX-License-Identifier: BSD-2-Clause
"""A worker, or all of them, are told to end with everything under way. A worker that ends alone leaves its requests to the others; a server that ends, ends
in order however often it is told, loses nothing that it acknowledged, and says nothing that would frighten its operator."""
import json
import os
import re
import signal
import socket

import sip


def database():
    path, other = sip.database()
    other.execute("pragma journal_mode=delete")
    return path, other


def one_ends(r, name, server):
    ua, tcp = sip.Ua(server.host, server.port, user="a"), sip.Ua(server.host, server.port, proto="tcp", user="t")
    tcp.send(tcp.request("OPTIONS", f"sip:{server.host}", "<sip:x@x>"))
    r.check(f"{name} a stream is served", tcp.expect(200) is not None)
    ua.send(ua.request("INVITE", f"sip:waits@{server.host}", "<sip:x@x>"))
    r.check(f"{name} a request waits", ua.expect(100) is not None)
    before = server.workers()
    for pid in before:
        os.kill(pid, signal.SIGTERM)
        sip.wait_until(lambda: pid not in server.workers() and len(server.workers()) == len(before))
    r.check(f"{name} the others begin a waiting request anew", ua.expect(200, 10) is not None)
    r.check(f"{name} no connection stays behind", sip.wait_until(lambda: not server.rpc("core.tcp_list")), server.rpc("core.tcp_list"))
    ua.close()
    tcp.close()


def under_way(server, ua):
    """Starts what shall not be over when the server ends; what has to stay open for that."""
    for i in range(60):
        ua.send(ua.request("MESSAGE", f"sip:fill@{server.host}", "<sip:x@x>", body=b"x" * 1000, ctype="text/plain"))
        ua.expect(200)
    reader = socket.socket(socket.AF_UNIX)
    reader.connect(f"{server.dir}/stream.sock")
    reader.sendall(json.dumps({"jsonrpc": "2.0", "method": "htable.dump", "params": ["big"], "id": 1}).encode())
    reader.recv(1)
    os.mkfifo(f"{server.dir}/nobody-reads")
    with open(f"{server.dir}/fifo", "w") as f:
        f.write('{"jsonrpc": "2.0", "method": "core.version", "reply_name": "nobody-reads", "id": 1}\n')
    for what in ("waits", "exec"):
        ua.send(ua.request("MESSAGE", f"sip:{what}@{server.host}", "<sip:x@x>"))
    return reader


def ignores_term(pid):
    try:
        return int(re.search(r"SigIgn:\s*(\w+)", open(f"/proc/{pid}/status").read()).group(1), 16) >> (signal.SIGTERM - 1) & 1
    except OSError:
        return False


def register(ua, user, headers=()):
    ua.send(ua.request("REGISTER", "sip:here", f"<sip:{user}@here>", frm=f"<sip:{user}@here>", callid=user, contact=False,
                       headers=[f"Contact: <sip:{user}@127.0.0.1:9>;expires=600", *headers]))


def refused_or_done(ua):
    return [m for m in ua.inbox if m.status and m.status >= 200 and m.cseq_method == "REGISTER"]


def all_end(r, name, server, path, other):
    ua = sip.Ua(server.host, server.port, user="b")
    register(ua, "kept")
    r.check(f"{name} registered", ua.expect(200) is not None)
    reader = under_way(server, ua)
    register(ua, "asked")
    asked = ua.expect(401)
    credentials = sip.digest(asked.get("WWW-Authenticate"), "REGISTER", "sip:here", "asked", "pw")
    other.execute("begin exclusive")
    for i in range(8):
        register(ua, f"held{i}")
        register(ua, "asked", [f"Authorization: {credentials}"])
    ua.send(ua.request("MESSAGE", f"sip:last@{server.host}", "<sip:x@x>", callid="last"))
    r.check(f"{name} all wait for the database", ua.expect(lambda m: m.get("Call-ID") == "last") is not None and not refused_or_done(ua), [m.first for m in ua.inbox])
    pids = server.workers()
    os.killpg(server.proc.pid, signal.SIGTERM)
    sip.wait_until(lambda: any(ignores_term(p) for p in pids), 5)  # it waits for its thread
    for pid in filter(ignores_term, pids):
        os.kill(pid, signal.SIGTERM)
    other.execute("rollback")
    r.check(f"{name} exit status", server.stop() == 0, server.proc.returncode)
    text = server.log_text()
    said = [x for x in text.splitlines() if re.search(r"ERROR|CRITICAL|WARNING|BUG", x)]
    r.check(f"{name} nothing frightening is said", not said[server.said:], said[server.said:])
    r.check(f"{name} what was acknowledged is there", other.execute("select count(*) from location where username='kept'").fetchone() == (1,))
    r.check(f"{name} nobody was told of a failure", not [m for m in ua.inbox if m.status and m.status >= 500], [m.first for m in ua.inbox])
    left = [x for x in os.listdir(server.dir) if x in ("fifo", "stream.sock", "rpc.sock")]
    r.check(f"{name} no socket stays behind", not left, left)
    reader.close()
    ua.close()


def alone_ends(r, name, server, other):
    """Without children the one process writes what is not in the database yet."""
    ua = sip.Ua(server.host, server.port, user="c")
    for i in range(20):
        register(ua, f"alone{i}")
        r.check(f"{name} alone: registered", ua.expect(200) is not None) if i == 0 else ua.expect(200)
    r.check(f"{name} alone: exit status", server.stop(signal.SIGINT) == 0, f"{server.proc.returncode} {server.log_text()[-300:]}")
    rows = other.execute("select count(*) from location where username like 'alone%'").fetchone()
    r.check(f"{name} alone: what was acknowledged is there", rows == (20,), rows)
    ua.close()


def run(r, ctx):
    name = "core/19-ends"
    if not ctx.program.endswith("ringfort"):
        r.skip(name, "a worker that ends, ends Kamailio")
        return
    path, other = database()
    folder, cfg = sip.temp_dir(), os.path.join(ctx.folder, "server.cfg")
    defines = [f'DB="sqlite:///{path}"', f'JOURNAL="{path}=DELETE"', f'DIR="{folder}/"']
    with ctx.server(cfg, folder=folder, defines=[*defines, "ALONE"]) as server:
        alone_ends(r, name, server, other)
    with ctx.server(cfg, folder=folder, defines=defines) as server:
        one_ends(r, name, server)
        server.said = len(re.findall(r"ERROR|CRITICAL|WARNING|BUG", server.log_text()))
        all_end(r, name, server, path, other)
    other.close()
