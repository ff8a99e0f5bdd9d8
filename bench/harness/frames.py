"""The frames that the source offers, and what must come out of whoever is measured.

They agree with bench/whole_path/program.cc, which programs the router for them. All choices are
seeded: the same frames in each run, for wye and its peers alike."""

import gzip
import random
import socket
import struct
from pathlib import Path

TABLE = Path(__file__).resolve().parents[1] / "data" / "bgp-prefixes.txt.gz"
SIZE = 64  # of a frame, without its frame check sequence
ROUTER_MAC = bytes.fromhex("020000000001")
HOST_MAC = bytes.fromhex("020000000002")
NEXT_MAC = bytes.fromhex("020000000003")
VNI = 5001
PORTS = {"geneve": 6081, "vxlan": 4789}
CARRIER_VLAN, SITE_VLAN = 100, 10
LOCAL, REMOTE = 0xC0000201, 0xC0000210  # of the first of 16 tunnels
SMALL_ROUTES = 100                      # IPv4 routes of a small tenant
IMIX = [(64, 7), (594, 4), (1518, 1)]   # sizes and weights; 1518 with the frame check sequence


def real_table(family):
    """The prefixes of the real table, as text, in the file's order."""
    with gzip.open(TABLE, "rt") as lines:
        return [line.strip() for line in lines if (":" in line) == (family == 6)]


def choose_addresses(prefixes, count, seed=1):
    """For each a random prefix, and a random address in it, as a number."""
    chooser = random.Random(seed)
    result = []
    for _ in range(count):
        text, _, length = prefixes[int(chooser.random() * len(prefixes))].partition("/")
        six = ":" in text
        address = int.from_bytes(socket.inet_pton(socket.AF_INET6 if six else socket.AF_INET, text))
        host_bits = (128 if six else 32) - int(length)
        result.append(address | chooser.getrandbits(host_bits) if host_bits else address)
    return result


def checksum(header):
    """RFC 1071; 2^16 is 1 modulo 2^16 - 1, so the sum of the words is a remainder."""
    rest = int.from_bytes(header) % 0xFFFF
    return 0xFFFF - rest if rest or not any(header) else 0


def ipv4(source, destination, length, protocol=17, ttl=64):
    header = struct.pack("!BBHHHBBHII", 0x45, 0, length, 0, 0x4000, ttl, protocol, 0, source,
                         destination)
    return header[:10] + struct.pack("!H", checksum(header)) + header[12:]


def udp(source_port, destination_port, length):
    return struct.pack("!HHHH", source_port, destination_port, length, 0)


def ethernet(ether_type, tags=()):
    head = ROUTER_MAC + HOST_MAC
    for vlan in tags:
        head += struct.pack("!HH", 0x8100, vlan)
    return head + struct.pack("!H", ether_type)


def frame4(destination, chooser, size=SIZE, tags=()):
    """UDP from a host of the tenant. The template is `SIZE` bytes at least and holds the headers."""
    link = ethernet(0x0800, tags)
    length = size - len(link)
    source = 0xAC100000 | chooser.getrandbits(20)  # 172.16.0.0/12
    frame = (link + ipv4(source, destination, length) +
             udp(1024 + int(chooser.random() * 60000), 443, length - 20))
    return frame.ljust(SIZE, b"\0")


def frame6(destination, chooser):
    link = ethernet(0x86DD)
    length = SIZE - len(link) - 40
    source = (0x20010DB8 << 96 | chooser.getrandbits(64)).to_bytes(16)
    destination = destination.to_bytes(16)
    pseudo = source + destination + struct.pack("!IHBB", length, 0, 0, 17)
    payload = udp(1024 + int(chooser.random() * 60000), 443, length) + bytes(length - 8)
    payload = payload[:6] + struct.pack("!H", checksum(pseudo + payload) or 0xFFFF) + payload[8:]
    return link + struct.pack("!IHBB", 6 << 28, length, 17, 64) + source + destination + payload


def flows4(addresses, seed=2):
    chooser = random.Random(seed)
    return b"".join(frame4(address, chooser) for address in addresses)


def flows6(addresses, seed=2):
    chooser = random.Random(seed)
    return b"".join(frame6(address, chooser) for address in addresses)


def tunnel_header(kind):
    if kind == "geneve":
        return b"\0\0\x65\x58" + VNI.to_bytes(3) + b"\0"
    return b"\x08\0\0\0" + VNI.to_bytes(3) + b"\0"


def tunnelled(kind, addresses, seed=2):
    """As the far ends of the tunnels send it: 128 bytes of template, 114 of frame."""
    chooser = random.Random(seed)
    length = SIZE + 8 + 8 + 20
    frames = []
    for number, address in enumerate(addresses):
        outer = (ethernet(0x0800) + ipv4(REMOTE + number % 16, LOCAL, length) +
                 udp(49152 + int(chooser.random() * 16384), PORTS[kind], length - 20))
        frames.append((outer + tunnel_header(kind) + frame4(address, chooser)).ljust(128, b"\0"))
    return b"".join(frames)


def tenants(count, vrfs, flows, seed=3):
    """Of `vrfs` vports, each on two VLANs, to the prefixes of program_tenants()."""
    chooser = random.Random(seed)
    prefixes = SMALL_ROUTES * (count if vrfs == 1 else 1)
    frames = []
    for _ in range(flows):
        tenant = int(chooser.random() * vrfs)
        route = int(chooser.random() * prefixes)
        frames.append(frame4(0x10000000 + (route << 8) + 1, chooser,
                             tags=(1 + tenant // 64, 1 + tenant % 64)))
    return b"".join(frames)


def of_sizes(sizes, addresses, each, seed=4):
    """`each` frames of each size (with the frame check sequence), then 4096 of IMIX."""
    chooser = random.Random(seed)
    plan = [size for size in sizes for _ in range(each)]
    plan += chooser.choices([size for size, _ in IMIX], [weight for _, weight in IMIX], k=4096)
    # 4 bytes of each are the frame check sequence, but for the smallest, of which 64 are offered.
    return b"".join(frame4(addresses[number % len(addresses)], chooser, max(size - 4, SIZE))
                    for number, size in enumerate(plan))


# What was sent, as the driver captured it.

def read_capture(path):
    """The frames of the pcap file that the driver wrote."""
    data = path.read_bytes()
    at, result = 24, []
    while at + 16 <= len(data):
        length = struct.unpack_from("=I", data, at + 8)[0]
        result.append(data[at + 16:at + 16 + length])
        at += 16 + length
    if not result:
        raise RuntimeError("nothing was captured of what was sent")
    return result


def expect(condition, what):
    if not condition:
        raise RuntimeError(f"what was sent is not what was asked for: {what}")


def check_unchanged(sent):
    for packet in sent:
        expect(packet[:12] == ROUTER_MAC + HOST_MAC, "testpmd io changed the frame")


def check_addressed(sent):
    """l3fwd, IPv4 or IPv6: to the next hop, from the port."""
    for packet in sent:
        expect(packet[:12] == NEXT_MAC + ROUTER_MAC, "l3fwd did not write the MAC addresses")
        check_ip(packet[12:])


def check_ip(packet, ttl=63):
    """From its EtherType on."""
    if packet[:2] == b"\x86\xdd":
        expect(packet[2] >> 4 == 6, "the IPv6 header")
        return
    expect(packet[:2] == b"\x08\x00" and packet[2] == 0x45, "the EtherType")
    expect(checksum(packet[2:22]) == 0, "the IPv4 header's checksum")
    expect(packet[2 + 8] == ttl, "the TTL")


def check_routed(sent, tags=0):
    for packet in sent:
        expect(packet[:12] == NEXT_MAC + ROUTER_MAC, "the MAC addresses")
        ip = packet[12 + 4 * tags:]
        check_ip(ip)
        if ip[:2] == b"\x86\xdd":
            expect(ip[2 + 7] == 63, "the hop limit")


def check_decapsulated(sent):
    for packet in sent:
        expect(len(packet) == SIZE + 4, f"{len(packet)} bytes")
        expect(packet[12:16] == struct.pack("!HH", 0x8100, SITE_VLAN), "the site's tag")
    check_routed(sent, tags=1)


def check_encapsulated(sent, kind="geneve", tag=4):
    """Tag, outer IPv4, UDP, the tunnel's header, the tenant's frame with its TTL one lower."""
    for packet in sent:
        expect(len(packet) == SIZE + tag + 14 + 36, f"{len(packet)} bytes")
        if tag:
            expect(packet[12:16] == struct.pack("!HH", 0x8100, CARRIER_VLAN), "the underlay's tag")
        packet = packet[:12] + packet[12 + tag:]
        expect(packet[12:14] == b"\x08\x00", "the underlay's EtherType")
        outer = packet[14:34]
        expect(checksum(outer) == 0 and outer[9] == 17, "the outer IPv4 header")
        expect(struct.unpack_from("!H", packet, 36)[0] == PORTS[kind], "the tunnel's UDP port")
        expect(int.from_bytes(packet[46:49]) == VNI, "the VNI")
        check_ip(packet[62:])
