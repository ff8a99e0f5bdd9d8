"""The frames of every kind of traffic that is offered to a router under test, once for all generators.

Sizes are those of RFC 2544: with Ethernet's 4 bytes of frame check sequence, which are not part of the
frames that are returned. Addresses are IPv4 where nothing else is said. All choices are seeded."""

import random
import socket
import struct
import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "harness"))

import frames  # noqa: E402

FCS = 4
LARGEST = 9618           # what Ethernet controllers of today take, with the frame check sequence
TUNNELS = ("vxlan", "geneve")
IMIX = frames.IMIX       # (size, how many of a round of 12)


class Impossible(ValueError):
    """What was asked for has no frame; the text says why."""


@dataclass
class Link:
    """Ethernet towards the router. `vlan` is None for untagged frames."""

    router: str = "02:00:00:00:00:01"
    host: str = "02:00:00:00:00:02"
    vlan: int | None = None

    def header(self, ether_type):
        tag = b"" if self.vlan is None else struct.pack("!HH", 0x8100, self.vlan)
        return mac(self.router) + mac(self.host) + tag + struct.pack("!H", ether_type)


@dataclass
class Tunnel:
    """The outer side. Frame number n belongs to VNI `first_vni + n % vnis`; its outer source port is
    chosen from its inner flow, as RFC 7348 §5 and RFC 8926 §3.3 ask for."""

    kind: str = "vxlan"
    remote: str = "192.0.2.16"
    local: str = "192.0.2.1"
    first_vni: int = 5001
    vnis: int = 16


def mac(text):
    parts = bytes(int(part, 16) for part in text.split(":"))
    if len(parts) != 6:
        raise Impossible(f"{text!r} is no MAC address")
    return parts


def number(address):
    six = ":" in address
    return int.from_bytes(socket.inet_pton(socket.AF_INET6 if six else socket.AF_INET, address))


def packet(source, destination, source_port, length, six=False, port=443):
    """An IP packet of `length` bytes with UDP; its payload is zeros."""
    head = 40 if six else 20
    rest = length - head - 8
    if rest < 0:
        raise Impossible(f"an IP packet with UDP has {head + 8} bytes at least, not {length}")
    if not six:
        return (frames.ipv4(source, destination, length) +
                frames.udp(source_port, port, length - 20) + bytes(rest))
    addresses = source.to_bytes(16) + destination.to_bytes(16)
    payload = frames.udp(source_port, port, length - 40) + bytes(rest)
    pseudo = addresses + struct.pack("!IHBB", length - 40, 0, 0, 17)
    total = frames.checksum(pseudo + payload) or 0xFFFF
    payload = payload[:6] + struct.pack("!H", total) + payload[8:]
    return struct.pack("!IHBB", 6 << 28, length - 40, 17, 64) + addresses + payload


def frame(link, source, destination, source_port, size, six=False):
    if size > LARGEST:
        raise Impossible(f"{size} bytes are more than the largest frame, {LARGEST}")
    header = link.header(0x86DD if six else 0x0800)
    return header + packet(source, destination, source_port, size - FCS - len(header), six)


def single(link, size, source="198.18.0.10", destination="198.19.0.10"):
    """One flow, in the addresses that RFC 2544 reserves for benchmarks."""
    return [frame(link, number(source), number(destination), 1024, size)]


def to_table(link, size, count, seed=1, six=False):
    """To `count` random addresses: each a random prefix of the real table and a random address in it."""
    chooser = random.Random(seed)
    return [frame(link, source_of(chooser, six), address, 1024 + chooser.getrandbits(15), size, six)
            for address in destinations(count, seed, six)]


def destinations(count, seed=1, six=False):
    return frames.choose_addresses(frames.real_table(6 if six else 4), count, seed)


def source_of(chooser, six):
    return (0x20010DB8 << 96 | chooser.getrandbits(64)) if six else 0xAC100000 | chooser.getrandbits(20)


def imix_sizes():
    """The sizes of a round of 12, the large ones spread evenly."""
    slots = []
    for size, weight in IMIX:
        slots += [((place + 0.5) / weight, size) for place in range(weight)]
    return [size for _, size in sorted(slots)]


def imix(link, count, seed=1):
    """To the real table, of the sizes of the Internet mix: 7 of 64, 4 of 594, 1 of 1518 bytes."""
    chooser = random.Random(seed)
    sizes = imix_sizes()
    return [frame(link, source_of(chooser, False), address, 1024 + chooser.getrandbits(15),
                  sizes[place % len(sizes)])
            for place, address in enumerate(destinations(count, seed))]


def tunnelled(link, tunnel, size, count, seed=1, inner=Link()):
    """As a far tunnel end sends them: `size` is the whole outer frame's, the inner packets go to the
    real table, and have no frame check sequence of their own."""
    head = tunnel_header_size(link)
    if size - FCS - head < 14 + 28:
        raise Impossible(f"in a tunnel the smallest frame has {head + 14 + 28 + FCS} bytes, not {size}")
    chooser = random.Random(seed)
    length = size - FCS - (head - 36)  # of the outer IP packet
    result = []
    for place, address in enumerate(destinations(count, seed)):
        inside = frame(inner, source_of(chooser, False), address, 1024 + chooser.getrandbits(15),
                       size - head)
        outer = (frames.ipv4(number(tunnel.remote), number(tunnel.local), length) +
                 frames.udp(49152 + chooser.getrandbits(14), frames.PORTS[tunnel.kind], length - 20))
        result.append(link.header(0x0800) + outer + tunnel_header(tunnel, place) + inside)
    return result


def tunnel_header_size(link):
    return len(link.header(0)) + 20 + 8 + 8


def tunnel_header(tunnel, place):
    vni = (tunnel.first_vni + place % tunnel.vnis).to_bytes(3)
    return (b"\x08\0\0\0" if tunnel.kind == "vxlan" else b"\0\0\x65\x58") + vni + b"\0"


def write_pcap(path, traffic):
    """The classic format, microseconds, one frame each microsecond."""
    with open(path, "wb") as file:
        file.write(struct.pack("=IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for place, bytes_ in enumerate(traffic):
            file.write(struct.pack("=IIII", place // 1_000_000, place % 1_000_000,
                                   len(bytes_), len(bytes_)))
            file.write(bytes_)
