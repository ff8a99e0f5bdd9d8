"""Writes down which prefixes' probes arrive (bgp_probe.py): usage probe_sink.py PORT COUNT-FILE.

The file says how many have arrived. At SIGTERM it says, as JSON, {prefix: ns of its first probe's arrival}.
"""

import json
import os
import signal
import socket
import sys
import time

arrived: dict[bytes, int] = {}


def say_all(*_) -> None:
    print(json.dumps({f"{socket.inet_ntoa(wire[1:].ljust(4, bytes(1)))}/{wire[0]}": when
                      for wire, when in arrived.items()}), flush=True)
    sys.exit(0)


signal.signal(signal.SIGTERM, say_all)
probes = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
probes.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
probes.bind(("", int(sys.argv[1])))
count = os.open(sys.argv[2], os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
os.pwrite(count, b"%-10d" % 0, 0)
print("ready", flush=True)
while True:
    arrived.setdefault(probes.recv(64), time.monotonic_ns())
    os.pwrite(count, b"%-10d" % len(arrived), 0)
