"""BFD packets of ours are decoded by tshark, and packets built here by RFC 5880 4.1 are parsed.
usage: test_bfd.py BFD_TOOL"""

import random
import struct
import sys

import wire

wire.need_judges()

ENDS = {4: ("192.0.2.1", "192.0.2.2"), 6: ("2001:db8::1", "fe80::2")}
FIELDS = [
    "frame.protocols", "ip.ttl", "ip.dsfield.dscp", "ip.flags.df", "ip.len", "ip.src", "ip.dst",
    "ip.checksum.status", "ipv6.hlim", "ipv6.tclass.dscp", "ipv6.plen", "ipv6.src", "ipv6.dst",
    "udp.srcport", "udp.dstport", "udp.length", "udp.checksum.status", "bfd.version", "bfd.diag",
    "bfd.sta", "bfd.flags.p", "bfd.flags.f", "bfd.flags.c", "bfd.flags.a", "bfd.flags.d",
    "bfd.flags.m", "bfd.detect_time_multiplier", "bfd.message_length", "bfd.my_discriminator",
    "bfd.your_discriminator", "bfd.desired_min_tx_interval", "bfd.required_min_rx_interval",
    "bfd.required_min_echo_interval", "_ws.malformed",
]
chooser = random.Random(9)


def rows():
    for family in (4, 6):
        for hops, port in (("single", 3784), ("multi", 4784)):
            for _ in range(40):
                yield {
                    "family": family, "hops": hops, "port": port,
                    "source": chooser.randrange(49152, 65536), "state": chooser.randrange(4),
                    "diag": chooser.randrange(9), "p": chooser.randrange(2),
                    "f": chooser.randrange(2), "c": chooser.randrange(2),
                    "mult": chooser.randrange(1, 256), "my": chooser.randrange(1, 1 << 32),
                    "your": chooser.randrange(1 << 32), "tx": chooser.randrange(1 << 32),
                    "rx": chooser.randrange(1 << 32),
                }


def number(text):
    return int(text, 0)


def check_sent(checks, row, layers):
    first = {field: values[0] for field, values in layers.items()}
    ip = ({"ip.ttl": 255, "ip.dsfield.dscp": 48, "ip.flags.df": 1, "ip.len": 52,
           "ip.checksum.status": 1} if row["family"] == 4 else
          {"ipv6.hlim": 255, "ipv6.tclass.dscp": 48, "ipv6.plen": 32})
    wanted = {
        **ip, "udp.srcport": row["source"], "udp.dstport": row["port"], "udp.length": 32,
        "udp.checksum.status": 1, "bfd.version": 1, "bfd.diag": row["diag"],
        "bfd.sta": row["state"], "bfd.flags.p": row["p"], "bfd.flags.f": row["f"],
        "bfd.flags.c": row["c"], "bfd.flags.a": 0, "bfd.flags.d": 0, "bfd.flags.m": 0,
        "bfd.detect_time_multiplier": row["mult"], "bfd.message_length": 24,
        "bfd.my_discriminator": row["my"], "bfd.your_discriminator": row["your"],
        "bfd.desired_min_tx_interval": row["tx"], "bfd.required_min_rx_interval": row["rx"],
        "bfd.required_min_echo_interval": 0,
    }
    for field, value in wanted.items():
        checks.equal("%s of %r" % (field, row), number(first[field]), value)
    prefix = "ip" if row["family"] == 4 else "ipv6"
    checks.equal("source", first[prefix + ".src"], ENDS[row["family"]][0])
    checks.equal("destination", first[prefix + ".dst"], ENDS[row["family"]][1])
    checks.equal("malformed", layers.get("_ws.malformed"), None)


def packed(version=1, diag=0, state=1, flags=0, mult=3, length=24, my=1, your=0, tx=1, rx=2, echo=3,
           tail=b""):
    return struct.pack("!BBBBIIIII", version << 5 | diag, state << 6 | flags, mult, length, my, your,
                       tx, rx, echo) + tail


FAULTS = {"version": 1, "length": 2, "multiplier": 3, "multipoint": 4, "my": 5, "your": 6}


def parsed():
    for _ in range(300):
        state, flags = chooser.randrange(4), chooser.randrange(32) << 1 & 0x3A
        my, your = chooser.randrange(1, 1 << 32), chooser.randrange(1, 1 << 32)
        diag, mult = chooser.randrange(32), chooser.randrange(1, 256)
        tx, rx, echo = (chooser.randrange(1 << 32) for _ in range(3))
        bits = [flags >> 5 & 1, flags >> 4 & 1, flags >> 3 & 1, 0, flags >> 1 & 1]
        yield (packed(1, diag, state, flags, mult, 24, my, your, tx, rx, echo),
               "good " + " ".join(map(str, [state, diag, *bits, mult, my, your, tx, rx, echo])))
    yield packed(tail=b"\0" * 9), "good 1 0 0 0 0 0 0 3 1 0 1 2 3"  # padding behind
    yield packed(flags=4, length=26, tail=b"\1\2"), "good 1 0 0 0 0 1 0 3 1 0 1 2 3"
    for packet, fault in (
            (b"", "length"), (packed()[:23], "length"), (packed(length=23), "length"),
            (packed(length=25), "length"), (packed(flags=4, tail=b"\0" * 8), "length"),
            (packed(version=0), "version"), (packed(version=2), "version"),
            (packed(mult=0), "multiplier"), (packed(flags=1), "multipoint"), (packed(my=0), "my"),
            (packed(state=2), "your"), (packed(state=3), "your"),
            # Of two faults the first of RFC 5880 6.8.6 counts.
            (packed(version=3, mult=0, my=0), "version"), (packed(mult=0, my=0), "multiplier")):
        yield packet, "fault %d" % FAULTS[fault]


def main(tool):
    sent = list(rows())
    lines = ["send %s %s %d %s %d %d %d %d %d %d %d %d %d %d" % (
        *ENDS[row["family"]], row["source"], row["hops"], row["state"], row["diag"], row["p"],
        row["f"], row["c"], row["mult"], row["my"], row["your"], row["tx"], row["rx"])
        for row in sent]
    answers = wire.run_tool(tool, lines)
    frames = [bytes.fromhex(answer.split()[1]) for answer in answers]
    checks = wire.Checks()
    for row, layers in zip(sent, wire.tshark(frames, FIELDS)):
        check_sent(checks, row, layers)
    received = list(parsed())
    for (packet, wanted), answer in zip(
            received, wire.run_tool(tool, ["parse " + packet.hex() for packet, _ in received])):
        checks.equal(packet.hex(), answer, wanted)
    checks.finish()


main(sys.argv[1])
