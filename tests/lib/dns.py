# SPDX-License-Identifier: BSD-2-Clause
"""A name server of a few records on a port of loopback."""
import socket
import struct
import threading

TYPES = {"A": 1, "PTR": 12, "AAAA": 28}


def packed(name):
    return b"".join(bytes([len(x)]) + x.encode() for x in name.split(".") if x) + b"\0"


class Server:
    """records: {(name, type): [text, ...]}; names in `silent` are never answered, all others do not exist. asked: what was asked for, in order."""

    def __init__(self, records, silent=(), ttl=60):
        self.records, self.silent, self.ttl, self.asked = records, silent if isinstance(silent, set) else set(silent), ttl, []
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.at = "127.0.0.1:%d" % self.sock.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    def _data(self, kind, text):
        return {"A": lambda: socket.inet_aton(text), "AAAA": lambda: socket.inet_pton(socket.AF_INET6, text), "PTR": lambda: packed(text)}[kind]()

    def _answer(self, query, who):
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode())
            at += 1 + query[at]
        name, number = ".".join(labels).lower(), struct.unpack("!H", query[at + 1:at + 3])[0]
        kind = {v: k for k, v in TYPES.items()}.get(number, str(number))
        self.asked.append((name, kind))
        if name in self.silent:
            return
        found = self.records.get((name, kind), [])
        known = any(n == name for n, _ in self.records)
        body = b"".join(b"\xc0\x0c" + struct.pack("!HHIH", number, 1, self.ttl, len(d)) + d for d in (self._data(kind, t) for t in found))
        self.sock.sendto(query[:2] + struct.pack("!HHHHH", 0x8180 if known else 0x8183, 1, len(found), 0, 0) + query[12:at + 5] + body, who)

    def _run(self):
        while True:
            try:
                query, who = self.sock.recvfrom(4096)
                self._answer(query, who)
            except (OSError, IndexError, UnicodeDecodeError, struct.error):
                if self.sock.fileno() < 0:
                    return

    def close(self):
        self.sock.close()
