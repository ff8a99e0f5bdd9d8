#!/usr/bin/python3
"""Frames made by scapy go through the pipeline (replay_frames); what comes out is decoded by scapy
and by tshark. usage: judge_with_scapy.py REPLAY_FRAMES"""
import os
import random
import subprocess
import sys
import tempfile

try:
    from scapy.all import (
        ICMP, IP, TCP, UDP, Ether, ICMPv6DestUnreach, ICMPv6EchoRequest, ICMPv6TimeExceeded, IPv6,
        IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop, Raw, raw, wrpcap)
except ImportError:
    print("needs scapy (package python3-scapy)")
    sys.exit(77)

OUR_MAC = "02:00:00:00:00:01"
HOST_MAC = "02:00:00:00:00:99"
failures = []
seen = []  # every frame that left, for tshark


def check(condition, *words):
    if not condition:
        failures.append(" ".join(str(w) for w in words))


class Router:
    def __init__(self, program):
        self.process = subprocess.Popen(
            [program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def command(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        out = []
        while True:
            words = self.process.stdout.readline().split()
            if not words or words[0] == "done":
                return out
            out.append((words[0], int(words[1]), bytes.fromhex(words[2])))

    def send(self, packet, destination=OUR_MAC):
        frame = raw(Ether(dst=destination, src=HOST_MAC) / packet)
        out = self.command("receive 0 " + frame.hex())
        seen.extend(frame for verb, _, frame in out if verb == "sent")
        return frame[14:], out


def recomputed(packet):
    """The same packet with every checksum and length made anew by scapy."""
    copy = packet.copy()
    layer = copy
    while layer:
        for field in ("chksum", "cksum"):
            if field in layer.fields:
                del layer.fields[field]
        layer = layer.payload if layer.payload else None
    return raw(copy)


def judge_forwarding(router):
    """Random good packets: what leaves is what scapy makes of the same packet with TTL - 1."""
    random.seed(5)
    for i in range(300):
        ttl = random.randint(2, 255)
        payload = Raw(os.urandom(random.randint(0, 200)))
        l4 = random.choice([UDP(sport=i, dport=53), TCP(sport=i, dport=80), ICMP(type=8)])
        if i % 2 == 0:
            packet = IP(src="10.0.0.9", dst="10.1.2.%d" % (i % 250 + 1), ttl=ttl, id=i,
                        tos=random.randint(0, 255), flags=random.choice(["", "DF"]),
                        options=random.choice([[], [b"\x94\x04\x00\x00"]])) / l4 / payload
        else:
            l4 = ICMPv6EchoRequest() if isinstance(l4, ICMP) else l4
            packet = IPv6(src="2001:db8::9", dst="2001:db8:1::%x" % (i + 1), hlim=ttl,
                          fl=random.randint(0, 0xfffff), tc=random.randint(0, 255))
            extension = random.choice([None, IPv6ExtHdrDestOpt(), IPv6ExtHdrHopByHop(),
                                       IPv6ExtHdrFragment(offset=i, m=1)])
            packet = packet / extension / l4 / payload if extension else packet / l4 / payload
        sent, out = router.send(packet)
        check(len(out) == 1 and out[0][:2] == ("sent", 1), "forwarded", packet.summary(), out)
        if len(out) != 1:
            continue
        frame = Ether(out[0][2])
        check(frame.dst == "02:00:00:00:00:aa" and frame.src == "02:00:00:00:00:02", "link header")
        if i % 2 == 0:
            expected = IP(sent)
            expected.ttl -= 1
            del expected.chksum
        else:
            expected = IPv6(sent)
            expected.hlim -= 1
        check(out[0][2][14:] == raw(expected), "bytes of", packet.summary())


def judge_error4(router, packet, kind, code, out, sent):
    check(len(out) == 1 and out[0][:2] == ("sent", 0), "one error for", packet.summary(), out)
    if len(out) != 1:
        return
    error = IP(out[0][2][14:])
    check(Ether(out[0][2]).dst == HOST_MAC, "to the host's MAC address")
    check(error.src == "10.0.0.1" and error.dst == "10.0.0.9", "addresses", error.summary())
    check((error[ICMP].type, error[ICMP].code) == (kind, code), "type and code", error.summary())
    check(error.len == len(out[0][2]) - 14, "length")
    check(error.len <= 576, "standards 13: at most 576 bytes", error.len)
    check(raw(error) == recomputed(error), "checksums of", error.summary())
    check(error.ttl == 64, "standards 13a: a TTL of its own", error.ttl)
    check(error.tos >> 5 == 6, "standards 15: precedence", error.tos)
    check((error.tos ^ packet.tos) & 0x1c == 0, "standards 15: TOS", error.tos)
    quote = out[0][2][14 + 20 + 8:]
    check(sent.startswith(quote), "standards 13: quoted as received")
    check(len(quote) == min(len(sent), 548), "standards 13: as much as fits", len(quote))


def judge_error6(router, packet, kind, code, out, sent):
    check(len(out) == 1 and out[0][:2] == ("sent", 0), "one error for", packet.summary(), out)
    if len(out) != 1:
        return
    error = IPv6(out[0][2][14:])
    layer = ICMPv6TimeExceeded if kind == 3 else ICMPv6DestUnreach
    check(error.src == "2001:db8::1" and error.dst == "2001:db8::9", "addresses", error.summary())
    check(error.haslayer(layer) and error[layer].code == code, "type and code", error.summary())
    check(error.plen == len(out[0][2]) - 54, "payload length")
    check(len(out[0][2]) - 14 <= 1280, "standards 20: at most 1280 bytes")
    body = out[0][2][14 + 40:]
    from scapy.layers.inet6 import in6_chksum
    check(in6_chksum(58, error, body) == 0, "ICMPv6 checksum of", error.summary())
    quote = body[8:]
    check(sent.startswith(quote), "quoted as received")
    check(len(quote) == min(len(sent), 1232), "standards 20: as much as fits", len(quote))


def judge_errors(router):
    # (destination, TTL, ICMPv4 type and code, ICMPv6 type and code); standards 1, 16, 18, 22
    cases = [("1", 1, (11, 0), (3, 0)), ("1", 0, (11, 0), (3, 0)), ("3", 64, (3, 1), (1, 3)),
             ("4", 64, (3, 13), (1, 1)), ("7", 64, (3, 0), (1, 0))]
    for number, ttl, four, six in cases:
        for size in (0, 1, 100, 519, 520, 521, 1231 - 48, 1400):
            for tos in (0, 0x10, 0xb8, 0xff):
                packet = IP(src="10.0.0.9", dst="10.%s.0.1" % number, ttl=ttl, tos=tos) / \
                    UDP(sport=1, dport=2) / Raw(os.urandom(size))
                sent, out = router.send(packet)
                judge_error4(router, packet, *four, out, sent)
                router.command("advance 100")
            packet = IPv6(src="2001:db8::9", dst="2001:db8:%s::1" % number, hlim=ttl) / \
                UDP(sport=1, dport=2) / Raw(os.urandom(size))
            sent, out = router.send(packet)
            judge_error6(router, packet, *six, out, sent)
            router.command("advance 100")
    # standards 16: the neighbour did not answer.
    packet = IP(src="10.0.0.9", dst="10.5.0.1") / UDP(sport=1, dport=2) / Raw(b"x" * 10)
    sent, out = router.send(packet)
    check(out == [], "nothing yet for a neighbour that is asked for", out)
    out = router.command("advance 3100")
    judge_error4(router, packet, 3, 1, out, sent)
    # About an error there is none (standards 12).
    inner = IP(src="10.7.0.1", dst="10.0.0.9") / UDP()
    _, out = router.send(IP(src="10.0.0.9", dst="10.7.0.1") / ICMP(type=3, code=1) / inner)
    check(out == [], "no error about an error", out)
    _, out = router.send(IP(src="10.0.0.9", dst="10.2.0.1") / UDP())
    check(out == [], "a blackhole is silent", out)


def judge_with_tshark():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "sent.pcap")
        wrpcap(path, [Ether(frame) for frame in seen])
        try:
            # The quotes inside errors are cut short by intention: only the outer layers count.
            run = subprocess.run(
                ["tshark", "-r", path, "-o", "ip.check_checksum:TRUE", "-Y",
                 "ip.checksum.status==0 || icmp.checksum.status==0 || icmpv6.checksum.status==0"],
                capture_output=True, text=True, check=False)
        except FileNotFoundError:
            print("tshark is absent (package tshark): judged by scapy alone")
            return
        check(run.returncode == 0, "tshark", run.stderr)
        check(run.stdout == "", "tshark finds bad checksums:", run.stdout[:2000])


def main():
    router = Router(sys.argv[1])
    judge_forwarding(router)
    judge_errors(router)
    router.process.stdin.close()
    check(router.process.wait() == 0, "the router's ledger")
    judge_with_tshark()
    for failure in failures[:20]:
        print("FAILED:", failure)
    print(len(seen), "frames judged,", len(failures), "failures")
    return 1 if failures or not seen else 0


if __name__ == "__main__":
    sys.exit(main())
