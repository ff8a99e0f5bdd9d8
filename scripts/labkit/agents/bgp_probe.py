"""A BGP peer that believes what it is told, at once.

    bgp_probe.py ROUTER AS PORT PROGRESS-FILE ARRIVED-FILE

For each IPv4 prefix of an UPDATE (RFC 4271, section 4.3) it sends one datagram to the prefix's first
host, before it reads on. The datagram holds the prefix as on the wire. So that no queue on the way
overflows, at most WINDOW are on their way: the second file says how many have arrived (probe_sink.py),
the first how many prefixes are known.
At SIGUSR1 it writes the prefixes that it knows into PROGRESS-FILE.prefixes (suffix replaced), at SIGTERM it says, as JSON, {"learned": {prefix: ns of the probe}, "withdrawn": count}.
"""

import json
import os
import signal
import socket
import struct
import sys
import time

OPEN, UPDATE, NOTIFICATION, KEEPALIVE = 1, 2, 3, 4
HOLD_SECONDS = 240
WINDOW = 128
PATIENCE = 0.2  # what has not arrived after so many seconds is lost


def message(kind: int, body: bytes = b"") -> bytes:
    return b"\xff" * 16 + struct.pack("!HB", 19 + len(body), kind) + body


def prefixes_of(body: bytes):
    """Prefixes as on the wire: a byte of length and as many bytes as that needs."""
    at = 0
    while at < len(body):
        end = at + 1 + (body[at] + 7) // 8
        yield body[at:end]
        at = end


def text_of(wire: bytes) -> str:
    return f"{socket.inet_ntoa(wire[1:].ljust(4, bytes(1)))}/{wire[0]}"


class Peer:
    def __init__(self, router: str, number: int, port: int, progress: str,
                 arrived: str) -> None:
        self.known = os.path.splitext(progress)[0] + ".prefixes"
        self.port, self.progress = port, os.open(progress, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
        self.arrived = os.open(arrived, os.O_RDONLY)
        self.sent = self.lost = 0
        self.learned: dict[bytes, int] = {}
        self.withdrawn = 0
        self.probes = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.say_progress()
        print("ready", flush=True)
        self.peer = self.connect(router)
        self.stream = self.peer.makefile("rb")
        self.peer.sendall(message(OPEN, struct.pack("!BHH4sB", 4, number, HOLD_SECONDS,
                                                    socket.inet_aton("10.1.0.10"), 0)))

    @staticmethod
    def connect(router: str) -> socket.socket:
        while True:
            try:
                return socket.create_connection((router, 179), 2)
            except OSError:
                time.sleep(0.2)

    def run(self) -> None:
        self.peer.settimeout(None)
        said = time.monotonic()
        while header := self.stream.read(19):
            length, kind = struct.unpack("!HB", header[16:])
            body = self.stream.read(length - 19)
            if kind == UPDATE:
                self.take(body)
                self.say_progress()
            elif kind == NOTIFICATION:
                raise SystemExit(f"the router ends the session: {body!r}")
            if kind in (OPEN, KEEPALIVE) or time.monotonic() - said > HOLD_SECONDS / 4:
                self.peer.sendall(message(KEEPALIVE))
                said = time.monotonic()

    def take(self, body: bytes) -> None:
        withdrawn, = struct.unpack_from("!H", body)
        attributes, = struct.unpack_from("!H", body, 2 + withdrawn)
        for wire in prefixes_of(body[2:2 + withdrawn]):
            self.withdrawn += self.learned.pop(wire, None) is not None
        for wire in prefixes_of(body[4 + withdrawn + attributes:]):
            self.wait_for_room()
            address = bytearray(wire[1:].ljust(4, b"\0"))
            address[3] |= 1
            self.probes.sendto(wire, (socket.inet_ntoa(address), self.port))
            self.learned[wire] = time.monotonic_ns()
            self.sent += 1

    def on_the_way(self) -> int:
        return self.sent - self.lost - int(os.pread(self.arrived, 10, 0))

    def wait_for_room(self) -> None:
        if self.sent % 32 or self.on_the_way() < WINDOW:
            return
        until = time.monotonic() + PATIENCE
        while self.on_the_way() >= WINDOW:
            if time.monotonic() > until:
                self.lost += self.on_the_way()
                return
            time.sleep(0.0002)

    def say_progress(self) -> None:
        os.pwrite(self.progress, b"%-10d" % len(self.learned), 0)

    def write_prefixes(self, *_) -> None:
        with open(self.known + ".new", "w", encoding="ascii") as file:
            file.write("\n".join(text_of(wire) for wire in list(self.learned)))
        os.rename(self.known + ".new", self.known)

    def say_all(self, *_) -> None:
        print(json.dumps({"learned": {text_of(wire): when for wire, when in self.learned.items()},
                          "withdrawn": self.withdrawn}), flush=True)
        sys.exit(0)


signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
peer = Peer(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], sys.argv[5])
signal.signal(signal.SIGTERM, peer.say_all)
signal.signal(signal.SIGUSR1, peer.write_prefixes)
peer.run()
signal.pause()
