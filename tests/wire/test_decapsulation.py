"""VXLAN and GENEVE packets built by scapy: what comes out is the inner frame, byte for byte, or the
drop that the RFC asks for. usage: test_decapsulation.py TUNNEL_TOOL"""

import random
import sys

import wire

wire.need_judges()
from scapy.all import (IP, IPv6, UDP, Ether, IPOption_NOP, IPv6ExtHdrDestOpt, Dot1Q,  # noqa: E402
                       Padding, Raw)
from scapy.contrib.geneve import GENEVE, GeneveOptions  # noqa: E402
from scapy.layers.vxlan import VXLAN  # noqa: E402

ENDS = {4: ("192.0.2.1", "198.51.100.2"), 6: ("2001:db8::1", "2001:db8:ffff::2")}
LOCAL, REMOTE = 0, 1
chooser = random.Random(2)


def inner_frame(ecn=0, extra=0):
    head = Ether(dst="02:00:00:00:00:0b", src="02:00:00:00:00:0a")
    payload = Raw(bytes(chooser.randrange(256) for _ in range(extra or chooser.randrange(300))))
    if chooser.random() < 0.5:
        return head / IP(src="10.0.0.1", dst="10.0.0.2", tos=0xB8 | ecn) / UDP() / payload
    return head / IPv6(src="fd00::1", dst="fd00::2", tc=0xB8 | ecn, fl=0x12345) / UDP() / payload


def with_inner_ecn(frame, ecn):
    """The same frame with other ECN bits; scapy makes the checksum anew."""
    other = frame.copy()
    if IP in other:
        other[IP].tos = other[IP].tos & 0xFC | ecn
        del other[IP].chksum
    else:
        other[IPv6].tc = other[IPv6].tc & 0xFC | ecn
    return bytes(other)


def outer(family, port, shim, tos=0, **udp):
    local, remote = ENDS[family][LOCAL], ENDS[family][REMOTE]
    ip = (IP(src=remote, dst=local, tos=tos, ttl=9) if family == 4
          else IPv6(src=remote, dst=local, tc=tos, fl=0xABCDE))
    return ip / UDP(sport=55555, dport=port, **udp) / shim


def random_options():
    """Non-critical ones of every length up to 63 words."""
    options, words = [], chooser.choice((1, 2, 7, 33, 63))
    while words:
        data = min(words - 1, chooser.choice((0, 1, 5, 31)))
        options.append(GeneveOptions(classid=chooser.randrange(1 << 16),
                                     type=chooser.randrange(0x80),
                                     data=bytes(chooser.randrange(256)
                                                for _ in range(4 * data))))
        words -= 1 + data
    return options


def geneve(vni, options=(), **fields):
    # The length is given, since scapy 2.5 masks what it computes with 0x2f instead of 0x3f.
    fields.setdefault("optionlen", sum(len(bytes(option)) for option in options) // 4)
    return GENEVE(vni=vni, proto=0x6558, options=list(options), **fields)


def vxlan_with_reserved_bits(vni):
    # By hand: scapy reads other layouts (group policy, next protocol) out of the reserved bits.
    return Raw(b"\xff\x12\x34\x56" + vni.to_bytes(3, "big") + b"\xff")


def good_cases():
    for family in (4, 6):
        for vni in (0, 77, 0xFFFFFF):
            for _ in range(10):
                frame = inner_frame()
                yield family, vni, outer(family, 4789, VXLAN(flags=8, vni=vni) / frame), frame
                yield family, vni, outer(family, 6081, geneve(vni) / frame), frame
                yield family, vni, outer(family, 6081, geneve(vni, random_options()) / frame), frame
                yield family, vni, outer(family, 4789, vxlan_with_reserved_bits(vni) / frame), \
                    frame
        # Padding behind the packet, as a short Ethernet frame has it.
        frame = inner_frame(extra=1)
        yield family, 77, outer(family, 4789, VXLAN(flags=8, vni=77) / frame) / Padding(b"\0" * 9), \
            frame
        # Tags belong into GENEVE, not into VXLAN.
        frame = Ether(src="02:00:00:00:00:0a") / Dot1Q(vlan=5) / IP(dst="10.0.0.2") / UDP()
        yield family, 77, outer(family, 6081, geneve(77) / frame), frame
    frame = inner_frame()
    without = outer(4, 6081, geneve(77) / frame)
    without[UDP].chksum = 0
    yield 4, 77, without, frame
    optioned = outer(4, 4789, VXLAN(flags=8, vni=77) / frame)
    optioned[IP].options = [IPOption_NOP()] * 4
    yield 4, 77, optioned, frame
    local, remote = ENDS[6][LOCAL], ENDS[6][REMOTE]
    yield 6, 77, (IPv6(src=remote, dst=local) / IPv6ExtHdrDestOpt() / UDP(dport=6081) /
                  geneve(77) / frame), frame


def ecn_cases():
    """(inner, outer) → result by RFC 6040 figure 4; None is a drop."""
    table = {(0, 3): None}
    severity = {0: 0, 2: 1, 1: 2, 3: 3}
    for inner in range(4):
        for around in range(4):
            result = table.get((inner, around), 0 if inner == 0 else max(
                (inner, around), key=severity.get))
            for family, shim in ((4, VXLAN(flags=8, vni=77)), (6, geneve(77))):
                frame = inner_frame(inner)
                port = 4789 if VXLAN in shim else 6081
                packet = outer(family, port, shim / frame, tos=0x28 | around)
                wanted = None if result is None else with_inner_ecn(frame, result)
                yield family, packet, wanted, (inner, around)


def bad_cases():
    frame = inner_frame()
    for family in (4, 6):
        def vxlan(shim, port=4789, **udp):
            return outer(family, port, shim, **udp)  # noqa: B023
        yield vxlan(VXLAN(flags=0, vni=77) / frame), "vxlan_flags"
        yield vxlan(VXLAN(flags=8, vni=78) / frame), "tunnel_unknown"
        yield vxlan(VXLAN(flags=8, vni=77) / Ether() / Dot1Q(vlan=5) / IP() / UDP()), \
            "vxlan_inner_tagged"
        yield vxlan(VXLAN(flags=8, vni=77) / frame, chksum=0x1234), "udp_checksum"
        yield vxlan(VXLAN(flags=8, vni=77) / Raw(b"\0" * 13)), "tunnel_truncated"
        yield vxlan(geneve(77, version=1) / frame, 6081), "geneve_version"
        yield vxlan(geneve(77, oam=1) / frame, 6081), "geneve_control"
        yield vxlan(GENEVE(vni=77, proto=0x0800, options=[]) / IP() / UDP(), 6081), \
            "geneve_protocol"
        critical = GeneveOptions(classid=1, type=0x81, data=b"five")
        yield vxlan(geneve(77, [critical], critical=1) / frame, 6081), "geneve_critical_option"
        yield vxlan(geneve(77, [GeneveOptions(classid=1, type=1, length=2, data=b"five")],
                           optionlen=2) / frame, 6081), "geneve_options"
        yield vxlan(geneve(77, optionlen=63) / frame, 6081), "tunnel_truncated"
    zero = outer(6, 6081, geneve(77) / frame)
    zero[UDP].chksum = 0
    yield zero, "udp_checksum_zero_ipv6"
    fragment = outer(4, 4789, VXLAN(flags=8, vni=77) / frame)
    fragment[IP].flags = "MF"
    yield fragment, "tunnel_fragment"


def tunnel_lines():
    for family in (4, 6):
        for kind in ("vxlan", "geneve"):
            for vni in (0, 77, 0xFFFFFF):
                yield "tunnel %s %s %s %d 0 0 0 0 0" % (kind, *ENDS[family], vni)


def main(tool):
    lines = ["new"] + list(tunnel_lines())
    wanted = [None] * len(lines)

    def ask(packet, answer):
        lines.append("decap " + bytes(packet).hex())
        wanted.append(answer)

    for _, _, packet, frame in good_cases():
        ask(packet, "inner " + bytes(frame).hex())
    for _, packet, frame, _ in ecn_cases():
        ask(packet, "drop tunnel_ecn" if frame is None else "inner " + frame.hex())
    for packet, reason in bad_cases():
        ask(packet, "drop " + reason)

    checks = wire.Checks()
    for line, answer, want in zip(lines, wire.run_tool(tool, lines), wanted):
        if want is None:
            continue
        if answer.startswith("inner "):  # the tunnel's number is of no interest here
            answer = "inner " + answer.split(" ", 2)[2]
        checks.equal(line, answer, want)
    checks.finish()


main(sys.argv[1])
