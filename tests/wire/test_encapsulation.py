"""Encapsulated frames of many shapes, judged by tshark: every field, every checksum, nothing
malformed. usage: test_encapsulation.py TUNNEL_TOOL"""

import itertools
import random
import sys

import wire

wire.need_judges()
from scapy.all import ARP, IP, IPv6, TCP, UDP, Ether  # noqa: E402

GOOD, NOT_PRESENT = "1", "3"
ENDS = {4: ("192.0.2.1", "198.51.100.2"), 6: ("2001:db8::1", "2001:db8:ffff::2")}
USUAL_PORT = {"vxlan": 4789, "geneve": 6081}
OWN_PORT = {"vxlan": 8472, "geneve": 6082}

FIELDS = [
    "frame.protocols", "ip.version", "ip.hdr_len", "ip.dsfield.dscp", "ip.dsfield.ecn", "ip.len",
    "ip.flags.df", "ip.flags.mf", "ip.ttl", "ip.proto", "ip.src", "ip.dst", "ip.checksum.status",
    "ipv6.tclass.dscp", "ipv6.tclass.ecn", "ipv6.flow", "ipv6.plen", "ipv6.nxt", "ipv6.hlim",
    "ipv6.src", "ipv6.dst", "udp.srcport", "udp.dstport", "udp.length", "udp.checksum",
    "udp.checksum.status", "vxlan.flags", "vxlan.vni", "vxlan.reserved8", "geneve.version",
    "geneve.option.length", "geneve.flags", "geneve.proto_type", "geneve.vni", "eth.src",
    "eth.dst", "_ws.malformed", "_ws.expert.severity",
]


def inner_frames():
    head = Ether(dst="02:00:00:00:00:0b", src="02:00:00:00:00:0a")
    for ecn in range(4):
        yield "udp4-ecn%d" % ecn, head / IP(src="10.0.0.1", dst="10.0.0.2", tos=0x88 | ecn) / UDP(
            sport=1000, dport=2000) / (b"x" * (20 + ecn)), 0x88 | ecn
    yield "tcp4", head / IP(src="10.0.0.1", dst="10.0.0.2") / TCP() / (b"y" * 1399), 0
    yield "udp6", head / IPv6(src="fd00::1", dst="fd00::2", tc=0x2B) / UDP(
        sport=7, dport=7777) / b"odd", 0x2B
    yield "arp", head / ARP(psrc="10.0.0.1", pdst="10.0.0.2"), None


def cases():
    chooser = random.Random(1)
    shapes = itertools.product(("vxlan", "geneve"), (4, 6), (0, 100, 0xFFFFFF), (False, True),
                               (0, 1), (0, 1))
    for kind, family, vni, own_port, checksum, copy_dscp in shapes:
        for name, frame, traffic_class in inner_frames():
            yield {
                "kind": kind, "family": family, "vni": vni,
                "port": OWN_PORT[kind] if own_port else 0, "ttl": chooser.choice((0, 1, 64, 255)),
                "dscp": chooser.randrange(64), "copy_dscp": copy_dscp, "checksum": checksum,
                "hash": chooser.randrange(1 << 32), "inner": bytes(frame),
                "traffic_class": traffic_class, "inner_name": name,
            }


def encapsulate(tool, rows):
    lines = []
    for row in rows:
        lines += ["new",
                  "tunnel %s %s %s %d %d %d %d %d %d" % (
                      row["kind"], *ENDS[row["family"]], row["vni"], row["port"], row["ttl"],
                      row["dscp"], row["copy_dscp"], row["checksum"]),
                  "encap 0 %d %s" % (row["hash"], row["inner"].hex())]
    frames = []
    for answer in wire.run_tool(tool, lines)[2::3]:
        word, _, rest = answer.partition(" ")
        assert word == "frame", answer
        frames.append(bytes.fromhex(rest))
    return frames


def expected_outer(row, length):
    """{field: first value} of the outer headers, by the RFCs rather than by our code."""
    inner = row["traffic_class"]
    dscp = inner >> 2 if row["copy_dscp"] and inner is not None else row["dscp"]
    ecn = 0 if inner is None else inner & 3  # standards 53
    ttl = row["ttl"] or 64
    source, destination = ENDS[row["family"]]
    port = row["port"] or USUAL_PORT[row["kind"]]
    header = 20 if row["family"] == 4 else 40
    has_checksum = row["family"] == 6 or row["checksum"] == 1  # standards 34, 42, 52a
    wanted = {
        "udp.dstport": str(port), "udp.length": str(length - header),
        "udp.checksum.status": GOOD if has_checksum else NOT_PRESENT,
        "eth.src": "02:00:00:00:00:0a",
    }
    if row["family"] == 4:
        wanted.update({
            "ip.version": "4", "ip.hdr_len": "20", "ip.dsfield.dscp": str(dscp),
            "ip.dsfield.ecn": str(ecn), "ip.len": str(length), "ip.flags.df": "1",
            "ip.flags.mf": "0", "ip.ttl": str(ttl), "ip.proto": "17", "ip.src": source,
            "ip.dst": destination, "ip.checksum.status": GOOD,
        })
    else:
        wanted.update({
            "ipv6.tclass.dscp": str(dscp), "ipv6.tclass.ecn": str(ecn),
            "ipv6.plen": str(length - 40), "ipv6.nxt": "17", "ipv6.hlim": str(ttl),
            "ipv6.src": source, "ipv6.dst": destination,
        })
    if row["kind"] == "vxlan":
        wanted.update({"vxlan.flags": "0x0800", "vxlan.vni": str(row["vni"]),
                       "vxlan.reserved8": "0"})
    else:
        wanted.update({"geneve.version": "0", "geneve.option.length": "0",
                       "geneve.flags": "0x00", "geneve.proto_type": "0x6558",
                       "geneve.vni": "0x%06x" % row["vni"]})
    return wanted


def check(checks, row, frame, layers):
    where = "%(kind)s over IPv%(family)d, VNI %(vni)d, port %(port)d, %(inner_name)s" % row
    first = {field: values[0] for field, values in layers.items()}
    for field, value in expected_outer(row, len(frame)).items():
        checks.equal("%s: %s" % (where, field), first.get(field), value)
    port = int(first["udp.srcport"])
    checks.equal("%s: source port %d in range" % (where, port), port >= 49152, True)
    if row["family"] == 6:
        checks.equal(where + ": flow label is set", int(first["ipv6.flow"], 16) != 0, True)
    shim = "%s:udp:%s:eth" % ("ip" if row["family"] == 4 else "ipv6", row["kind"])
    checks.equal(where + ": layers", shim in first["frame.protocols"], True)
    checks.equal(where + ": malformed", layers.get("_ws.malformed"), None)
    checks.equal(where + ": expert errors", has_errors(layers), False)
    checks.equal(where + ": inner bytes", frame[-len(row["inner"]):], row["inner"])
    checks.equal(where + ": length", len(frame),
                 len(row["inner"]) + 16 + (20 if row["family"] == 4 else 40))


def has_errors(layers):
    """Severity "error" (0x00800000), or a warning about a checksum counts above anyway."""
    return any(int(value) >= 0x00800000 for value in layers.get("_ws.expert.severity", []))


def main(tool):
    rows = list(cases())
    frames = encapsulate(tool, rows)
    options = [("-d", "udp.port==%d,%s" % (port, kind)) for kind, port in OWN_PORT.items()]
    decoded = wire.tshark(frames, FIELDS, options)
    checks = wire.Checks()
    checks.equal("packets decoded", len(decoded), len(frames))
    for row, frame, layers in zip(rows, frames, decoded):
        check(checks, row, frame, layers)
    # The judge is awake: one bit anywhere in a good frame's headers does not pass.
    broken = bytearray(frames[0])
    broken[8] ^= 1
    layers = wire.tshark([bytes(broken)], FIELDS, options)[0]
    checks.equal("a wrong IPv4 checksum is seen", layers["ip.checksum.status"][0] != GOOD, True)
    checks.finish()


main(sys.argv[1])
