#!/usr/bin/python3
"""Bytes over TCP, there and back, compared by their digest: transfer.py serve PORT (one connection), or
transfer.py send ADDRESS PORT BYTES. Ends with 1 where nothing comes for ten seconds."""

import hashlib
import os
import socket
import sys

QUIET = 10.0  # seconds


def read_exactly(connection: socket.socket, count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        part = connection.recv(min(65536, count - len(data)))
        if not part:
            sys.exit(f"transfer: the connection ended after {len(data)} of {count} bytes")
        data += part
    return bytes(data)


def serve(port: int) -> None:
    with socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True) as listener:
        print("ready", flush=True)
        listener.settimeout(3 * QUIET)
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(QUIET)
            count = int.from_bytes(read_exactly(connection, 8), "big")
            data = read_exactly(connection, count)
            connection.sendall(hashlib.sha256(data).digest() + data)
            connection.recv(1)  # until the other end has it all


def send(address: str, port: int, count: int) -> None:
    data = os.urandom(count)
    with socket.create_connection((address, port), QUIET) as connection:
        connection.sendall(count.to_bytes(8, "big") + data)
        if read_exactly(connection, 32) != hashlib.sha256(data).digest():
            sys.exit("transfer: what arrived is not what was sent")
        if read_exactly(connection, count) != data:
            sys.exit("transfer: what came back is not what was sent")


def main() -> None:
    try:
        if sys.argv[1] == "serve":
            serve(int(sys.argv[2]))
        else:
            send(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    except OSError as error:
        sys.exit(f"transfer: {error}")


main()
