"""The frames that the source offers, and what must come out of whoever is measured.

They agree with bench/whole_path/program.cc, which programs the router for them."""

import random
import struct

SIZE = 64
FLOWS = 4096
ROUTES = 1000  # 10.0.0.0/24 and so on, as in the program
ROUTER_MAC = bytes.fromhex("020000000001")
HOST_MAC = bytes.fromhex("020000000002")
VNI = 5001
GENEVE_PORT = 6081


def checksum(header):
    total = sum(struct.unpack(f"!{len(header) // 2}H", header))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def frame(chooser):
    """A UDP frame from a host of the tenant to one of its remote prefixes."""
    route = chooser.randrange(ROUTES)
    destination = 10 << 24 | route << 8 | chooser.randrange(1, 255)
    length = SIZE - 14
    header = struct.pack("!BBHHHBBHII", 0x45, 0, length, 0, 0x4000, 64, 17, 0,
                         172 << 24 | 16 << 16 | chooser.randrange(1, 1 << 16), destination)
    header = header[:10] + struct.pack("!H", checksum(header)) + header[12:]
    udp = struct.pack("!HHHH", chooser.randrange(1024, 65536), 443, length - 20, 0)
    return ROUTER_MAC + HOST_MAC + b"\x08\x00" + header + udp + bytes(length - 28)


def template():
    chooser = random.Random(1)
    return b"".join(frame(chooser) for _ in range(FLOWS))


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


def check_swapped(sent):
    for packet in sent:
        expect(packet[:12] == HOST_MAC + ROUTER_MAC, "testpmd macswap did not swap")


def check_encapsulated(sent):
    """Tag, outer IPv4, UDP, GENEVE, the tenant's frame with its TTL one lower."""
    for packet in sent:
        expect(len(packet) == SIZE + 4 + 14 + 36, f"{len(packet)} bytes")
        expect(packet[12:14] == b"\x81\x00" and packet[16:18] == b"\x08\x00", "the underlay's tag")
        outer = packet[18:38]
        expect(checksum(outer) == 0 and outer[9] == 17, "the outer IPv4 header")
        expect(struct.unpack_from("!H", packet, 40)[0] == GENEVE_PORT, "the GENEVE port")
        expect(int.from_bytes(packet[50:53], "big") == VNI, "the VNI")
        inner = packet[54:]
        expect(inner[12:14] == b"\x08\x00" and checksum(inner[14:34]) == 0, "the inner IPv4 header")
        expect(inner[14 + 8] == 63, "the inner TTL")
