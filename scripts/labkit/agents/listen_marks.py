"""Counts the marks (b"WYE-MARK:tenant:way;") in frames that a host receives, until SIGTERM.

    listen_marks.py INTERFACE

Prints "ready", and at the end one JSON object {"tenant:way": frames}.
"""

import json
import re
import signal
import socket
import sys

ETH_P_ALL = 3
MARK = re.compile(rb"WYE-MARK:([a-z0-9-]+:[a-z0-9-]+);")


class Stop(Exception):
    pass


def stop(*_):
    raise Stop


def main() -> None:
    signal.signal(signal.SIGTERM, stop)
    listener = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    listener.bind((sys.argv[1], 0))
    seen: dict[str, int] = {}
    print("ready", flush=True)
    try:
        while True:
            frame, address = listener.recvfrom(65535)
            if address[2] == socket.PACKET_OUTGOING:
                continue
            for mark in MARK.findall(frame):
                seen[mark.decode()] = seen.get(mark.decode(), 0) + 1
    except Stop:
        print(json.dumps(seen), flush=True)


main()
