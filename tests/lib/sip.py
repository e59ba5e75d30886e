# SPDX-License-Identifier: BSD-2-Clause
"""What the scenario tests share: starting a server on loopback, small SIP messages over UDP and TCP, its RPC socket,
and the count of results. Every wait has a deadline; nothing but loopback is ever a target."""
import atexit
import ctypes
import hashlib
import itertools
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_serial = itertools.count(1)

# told to stop, a test still stops the servers that it started
signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))


def die_with_parent():
    """In a child before exec: even a test that is killed outright leaves no server behind."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


def temp_dir(prefix="ringfort-test-"):
    """A folder that is removed when the test ends."""
    path = tempfile.mkdtemp(prefix=prefix)
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


def database():
    """A file with the stock tables in SQLite, and a connection to it beside those of the server."""
    path = f"{temp_dir()}/db"
    other = sqlite3.connect(path, isolation_level=None, timeout=20)
    other.executescript(open(f"{TOP}/conf/sql/sqlite/standard.sql").read())
    return path, other


def has_ipv6():
    """Does this machine have the IPv6 loopback address? Containers often do not."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:
            s.bind(("::1", 0))
            return True
    except OSError:
        return False


def free_port(host="127.0.0.1"):
    """A port that is free for UDP and TCP now, below the range the kernel hands out."""
    fam = socket.AF_INET6 if ":" in host else socket.AF_INET
    base = 22000 + (os.getpid() * 37) % 8000
    for i in range(2000):
        port = base + (next(_serial) * 2) % 9000
        try:
            for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                with socket.socket(fam, kind) as s:
                    s.bind((host, port))
            return port
        except OSError:
            continue
    raise RuntimeError("no free port")


def wait_until(cond, seconds=10.0, step=0.02):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if cond():
            return True
        time.sleep(step)
    return bool(cond())


class Results:
    def __init__(self):
        self.passed, self.failed, self.skipped = 0, 0, 0

    def check(self, name, ok, why=""):
        if ok:
            self.passed += 1
            print(f"ok {name}", flush=True)
        else:
            self.failed += 1
            print(f"not ok {name}  {why}", flush=True)
        return ok

    def skip(self, name, why):
        """Cannot be tried on this machine: said, and counted in the last line."""
        self.skipped += 1
        print(f"skipped {name}  {why}", flush=True)

    def end(self):
        print(f"{self.passed} passed, {self.failed} failed" + (f", {self.skipped} skipped" if self.skipped else ""), flush=True)
        sys.exit(1 if self.failed or not self.passed else 0)


class Server:
    """ringfort in the foreground with a script; stopped and its log shown when something fails."""

    def __init__(self, program, cfg, host="127.0.0.1", defines=(), args=(), port=None, env=None, wait=True, stderr=None, to_stderr=True, folder=None):
        self.host = host
        self.port = port or free_port(host)
        self.dir = folder or temp_dir()
        self.log_path = f"{self.dir}/log"
        self.rpc_path = f"{self.dir}/rpc.sock"
        text = f"[{host}]" if ":" in host else host
        self.argv = [program, "-f", cfg, "-DD", *(["-E"] if to_stderr else []), "-Y", self.dir, "-w", self.dir, "-A", f"LISTEN_UDP=udp:{text}:{self.port}",
                     "-A", f"LISTEN_TCP=tcp:{text}:{self.port}", "-A", f'RPC_SOCK="{self.rpc_path}"']
        for d in defines:
            self.argv += ["-A", d]
        self.argv += list(args)
        self.log = open(self.log_path, "w")
        e = dict(os.environ, ASAN_OPTIONS="detect_leaks=1:abort_on_error=1", UBSAN_OPTIONS="print_stacktrace=1:halt_on_error=1")
        e.update(env or {})
        self.proc = subprocess.Popen(self.argv, stdout=self.log, stderr=self.log if stderr is None else stderr, stdin=subprocess.DEVNULL, start_new_session=True, env=e, preexec_fn=die_with_parent)
        if wait and not self.wait_up():
            self.stop()
            raise RuntimeError("the server does not answer:\n" + self.log_text()[-3000:])

    def wait_up(self, seconds=20):
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.proc.poll() is None:
            if options(self.host, self.port, timeout=0.3) == 200:
                return True
        return False

    def log_text(self):
        self.log.flush()
        return open(self.log_path, errors="replace").read()

    def rpc(self, method, *params, timeout=5.0):
        """Result of a command over the datagram socket; raises on a fault."""
        wait_until(lambda: os.path.exists(self.rpc_path), timeout)  # workers may answer before rpcd has made it
        me = f"{self.dir}/client-{next(_serial)}"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.bind(me)
            os.chmod(me, 0o777)  # the server may run as another user
            s.settimeout(timeout)
            s.sendto(json.dumps({"jsonrpc": "2.0", "method": method, "params": list(params), "id": 1}).encode(), self.rpc_path)
            doc = s.recv(1 << 20)
        os.unlink(me)
        reply = json.loads(doc)
        if "error" in reply:
            raise RuntimeError(f"{method}: {reply['error']}")
        return reply["result"]

    def workers(self):
        """Process ids of the workers."""
        return [p["PID"] for p in self.rpc("core.psx") if "sip worker" in p["DSC"] and p["PID"] > 0]

    def stop(self, sig=signal.SIGTERM, seconds=20):
        if self.proc.poll() is None:
            self.proc.send_signal(sig)
            try:
                self.proc.wait(seconds)
            except subprocess.TimeoutExpired:
                os.killpg(self.proc.pid, signal.SIGKILL)
                self.proc.wait()
        return self.proc.returncode

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.stop()
        text = self.log_text()
        m = re.search(r"(ERROR: AddressSanitizer|runtime error:|LeakSanitizer)", text)
        if m:
            print(text[max(0, m.start() - 200):m.start() + 4000])
            raise RuntimeError("a sanitizer spoke")


class Msg:
    """A parsed SIP message, for tests."""

    def __init__(self, raw):
        self.raw = raw
        head, _, self.body = raw.partition(b"\r\n\r\n")
        lines = re.sub(rb"\r\n[ \t]+", b" ", head).split(b"\r\n")
        self.first = lines[0].decode(errors="replace")
        self.headers = [(n.strip().decode(errors="replace"), v.strip().decode(errors="replace"))
                        for n, _, v in (x.partition(b":") for x in lines[1:])]
        self.status = int(self.first.split(" ")[1]) if self.first.startswith("SIP/2.0 ") else None
        self.method = None if self.status else self.first.split(" ")[0]
        self.ruri = None if self.status else self.first.split(" ")[1]

    def all(self, name):
        return [v for n, v in self.headers if n.lower() == name.lower()]

    def get(self, name):
        got = self.all(name)
        return got[0] if got else None

    @property
    def cseq_method(self):
        return self.get("CSeq").split()[1]


class Ua:
    """A user agent on one socket. proto: udp or tcp. Messages that arrive are kept in order."""

    def __init__(self, server_host, server_port, proto="udp", host=None, user="ua", listen=False):
        self.host = host or ("::1" if ":" in server_host else "127.0.0.1")
        self.fam = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        self.proto, self.user, self.peer = proto, user, (server_host, server_port)
        self.buf, self.inbox = b"", []
        self.cond = threading.Condition()
        self.closed = False
        self.on = None  # called with each message; returns True when it dealt with it
        if proto == "udp":
            self.sock = socket.socket(self.fam, socket.SOCK_DGRAM)
            self.sock.bind((self.host, 0))
        elif listen:
            self.sock = None
            self.lsock = socket.socket(self.fam, socket.SOCK_STREAM)
            self.lsock.bind((self.host, 0))
            self.lsock.listen(16)
        else:
            self.sock = socket.create_connection(self.peer, timeout=5)
            self.sock.settimeout(None)
        self.port = (self.sock or self.lsock).getsockname()[1]
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    @property
    def hostport(self):
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def contact(self):
        return f"sip:{self.user}@{self.hostport}" + (";transport=tcp" if self.proto == "tcp" else "")

    def _take(self, raw):
        m = Msg(raw)
        if self.on and self.on(m):
            return
        with self.cond:
            self.inbox.append(m)
            self.cond.notify_all()

    def _run(self):
        try:
            if self.sock is None:
                self.sock, _ = self.lsock.accept()
            while not self.closed:
                d = self.sock.recv(65536)
                if self.proto == "udp":
                    if d.strip(b"\r\n\0"):
                        self._take(d)
                    continue
                if not d:
                    break
                self.buf += d
                while True:
                    self.buf = self.buf.lstrip(b"\r\n")
                    end = self.buf.find(b"\r\n\r\n")
                    if end < 0:
                        break
                    cl = re.search(rb"\r\n(?:Content-Length|l)\s*:\s*(\d+)", self.buf[:end + 2], re.I)
                    total = end + 4 + (int(cl.group(1)) if cl else 0)
                    if len(self.buf) < total:
                        break
                    one, self.buf = self.buf[:total], self.buf[total:]
                    self._take(one)
        except OSError:
            pass
        with self.cond:
            self.closed = True
            self.cond.notify_all()

    def send(self, text):
        data = text if isinstance(text, bytes) else text.encode()
        if self.proto == "udp":
            self.sock.sendto(data, self.peer)
        else:
            self.sock.sendall(data)

    def expect(self, want, seconds=5.0):
        """The next kept message that fits: a status (200), a class (2), a method, or a function. None at the deadline."""
        def fits(m):
            if callable(want):
                return want(m)
            if isinstance(want, int):
                return m.status == want or (want < 10 and m.status is not None and m.status // 100 == want)
            return m.method == want
        end = time.monotonic() + seconds
        with self.cond:
            while True:
                for i, m in enumerate(self.inbox):
                    if fits(m):
                        return self.inbox.pop(i)
                left = end - time.monotonic()
                if left <= 0 or self.closed and not self.inbox:
                    return None
                self.cond.wait(min(left, 0.5))

    def forget(self):
        """Drops what is kept."""
        with self.cond:
            self.inbox.clear()

    def branch(self):
        return f"z9hG4bK{os.getpid()}.{next(_serial)}.{time.monotonic_ns() & 0xffffff}"

    def request(self, method, ruri, to, frm=None, callid=None, cseq=1, branch=None, headers=(), body=b"", ctype=None, from_tag=None, contact=True):
        via = f"SIP/2.0/{self.proto.upper()} {self.hostport};branch={branch or self.branch()};rport"
        lines = [f"{method} {ruri} SIP/2.0", f"Via: {via}", "Max-Forwards: 70",
                 f"From: {frm or f'<sip:{self.user}@test.ringfort>'};tag={from_tag or 'f' + self.user}", f"To: {to}",
                 f"Call-ID: {callid or f'c{next(_serial)}-{os.getpid()}@{self.host}'}", f"CSeq: {cseq} {method}"]
        if contact:
            lines.append(f"Contact: <{self.contact}>")
        lines += list(headers)
        if isinstance(body, str):
            body = body.encode()
        if body:
            lines.append(f"Content-Type: {ctype or 'application/sdp'}")
        lines.append(f"Content-Length: {len(body)}")
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + body

    def reply(self, req, status, reason="x", tag=None, headers=(), body=b""):
        lines = [f"SIP/2.0 {status} {reason}"] + [f"Via: {v}" for v in req.all("Via")] + [f"Record-Route: {v}" for v in req.all("Record-Route")]
        to = req.get("To")
        if tag and ";tag=" not in to:
            to += f";tag={tag}"
        lines += [f"From: {req.get('From')}", f"To: {to}", f"Call-ID: {req.get('Call-ID')}", f"CSeq: {req.get('CSeq')}"]
        if req.method in ("INVITE", "SUBSCRIBE", "UPDATE"):
            lines.append(f"Contact: <{self.contact}>")
        lines += list(headers)
        if isinstance(body, str):
            body = body.encode()
        lines.append(f"Content-Length: {len(body)}")
        self.send("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    def register(self, aor_user, expires=60, contact=None, callid=None, cseq=1, headers=(), seconds=5.0):
        self.send(self.request("REGISTER", "sip:test.ringfort", f"<sip:{aor_user}@test.ringfort>", frm=f"<sip:{aor_user}@test.ringfort>",
                               callid=callid, cseq=cseq, headers=[f"Contact: {contact or f'<{self.contact}>'};expires={expires}" if contact != "*"
                                                                  else "Contact: *", *([f"Expires: {expires}"] if contact == "*" else []), *headers], contact=False))
        return self.expect(lambda m: m.status is not None and m.status >= 200 and m.cseq_method == "REGISTER", seconds)

    def close(self):
        self.closed = True
        for s in (self.sock, getattr(self, "lsock", None)):
            try:
                if s:
                    s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            if s:
                s.close()


def options(host, port, timeout=1.0):
    """Status of an OPTIONS to the server itself over UDP, or None."""
    fam = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(fam, socket.SOCK_DGRAM) as s:
        s.settimeout(timeout)
        try:
            s.bind((host, 0))
            at = f"[{host}]" if ":" in host else host
            n = f"{os.getpid()}-{next(_serial)}-{time.monotonic_ns()}"
            s.sendto((f"OPTIONS sip:{at}:{port} SIP/2.0\r\nVia: SIP/2.0/UDP {at}:{s.getsockname()[1]};rport;branch=z9hG4bKo{n}\r\nMax-Forwards: 9\r\n"
                      f"From: <sip:o@{at}>;tag=1\r\nTo: <sip:{at}:{port}>\r\nCall-ID: o{n}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n").encode(), (host, port))
            return Msg(s.recv(65536)).status
        except OSError:
            return None


def digest(challenge, method, uri, user, password):
    """Value of the Authorization field that answers a challenge (MD5; qop auth when offered)."""
    p = dict(re.findall(r'(\w+)="?([^",]+)"?', challenge))
    h = lambda s: hashlib.md5(s.encode()).hexdigest()
    ha1, ha2 = h(f"{user}:{p['realm']}:{password}"), h(f"{method}:{uri}")
    out = f'Digest username="{user}", realm="{p["realm"]}", nonce="{p["nonce"]}", uri="{uri}", algorithm=MD5'
    if "qop" in p:
        out += ', qop=auth, nc=00000001, cnonce="abc", response="%s"' % h(f"{ha1}:{p['nonce']}:00000001:abc:auth:{ha2}")
    else:
        out += ', response="%s"' % h(f"{ha1}:{p['nonce']}:{ha2}")
    return out
