"""Sends marked frames on an interface, given as JSON on standard input: [[way, hex], …]."""

import json
import socket
import sys
import time


def main() -> None:
    sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    sender.bind((sys.argv[1], 0))
    for frame in json.load(sys.stdin):
        sender.send(bytes.fromhex(frame))
        time.sleep(0.002)


main()
