#!/usr/bin/python3
"""Vports by VLAN: none, one and two tags on one port, each with its own tenant and its own answer."""

import json
import subprocess
import time

from tap import FreshLab, LabError, balanced, case, finish

from labkit.isolation import Findings, inject, scapy
from labkit.topology import CONF

ASKER = "02:00:00:00:99:01"

# name: (tags outermost first, MAC of the vport). All have the address 10.88.0.1.
VPORTS = {
    "untagged": ([], "02:00:02:00:00:00"),
    "single": ([30], "02:00:02:00:00:01"),
    "double": ([30, 40], "02:00:02:00:00:02"),
    "double2": ([31, 40], "02:00:02:00:00:03"),
}

LISTEN = """
import json, signal, socket, sys
sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
sock.bind((sys.argv[1], 0))
sock.setsockopt(263, 8, 1)  # SOL_PACKET, PACKET_AUXDATA: the outer tag, which the kernel takes out
sock.settimeout(2)
print("ready", flush=True)
frames = []
try:
    while True:
        data, extra, _, address = sock.recvmsg(2048, 256)
        if address[2] == socket.PACKET_OUTGOING:
            continue
        for level, kind, value in extra:
            status = int.from_bytes(value[0:4], "little")
            if level == 263 and kind == 8 and status & 0x10:
                tci, tpid = value[16:18][::-1], value[18:20][::-1]
                data = data[:12] + (tpid if status & 0x40 else b"\\x81\\x00") + tci + data[12:]
        frames.append(data.hex())
except TimeoutError:
    print(json.dumps(frames), flush=True)
"""


def manifest() -> str:
    parts = [(CONF / "a" / "manifest.yaml").read_text()]
    for name, (tags, mac) in VPORTS.items():
        vlan = f"        vlan: {tags[0]}\n" if tags else ""
        inner = f"        inner_vlan: {tags[1]}\n" if len(tags) > 1 else ""
        parts.append(f"""
  - name: {name}
    vrfs: [{{name: {name}, netns: {name}}}]
    vports:
      - name: {name}
        vrf: {name}
        port: access
{vlan}{inner}        mac: {mac}
        addresses: [10.88.0.1/24]
""")
    return "".join(parts)


def up(fresh) -> str:
    fresh.lab.shell("a", "\n".join(f"ip netns add {name}" for name in VPORTS))
    fresh.lab.run("a", "sh", "-c", "cat > /run/wye/a/vlans.yaml", input=manifest())
    fresh.topology.wyectl("a", "apply", "-f", "/run/wye/a/vlans.yaml")
    return f"{len(VPORTS)} vports on one port"


def tagged(s, tags: list[int]):
    packet = s.Ether(src=ASKER, dst="ff:ff:ff:ff:ff:ff")
    for depth, tag in enumerate(tags):
        packet /= s.Dot1AD(vlan=tag) if depth == 0 and len(tags) > 1 else s.Dot1Q(vlan=tag)
    return packet


def exchange(fresh, frame: bytes) -> list:
    """What comes back on the trunk within two seconds."""
    s, _ = scapy()
    listener = fresh.lab.spawn("switch-a", "/usr/bin/python3", "-c", LISTEN, "trunk",
                               stdout=subprocess.PIPE, text=True)
    listener.stdout.readline()
    inject(fresh.lab, "switch-a", "trunk", [frame], Findings())
    frames = json.loads(listener.communicate(timeout=20)[0])
    return [s.Ether(bytes.fromhex(f)) for f in frames]


def tags_of(s, frame) -> list[int]:
    tags, layer = [], frame.payload
    while layer.name in ("802.1Q", "802_1AD", "802.1AD") or isinstance(layer, s.Dot1Q):
        tags.append(layer.vlan)
        layer = layer.payload
    return tags


def answers(fresh, name: str) -> str:
    """An ARP request with the vport's tags is answered by its MAC, with the same tags, once."""
    s, _ = scapy()
    tags, mac = VPORTS[name]
    ask = tagged(s, tags) / s.ARP(op=1, hwsrc=ASKER, psrc="10.88.0.9", pdst="10.88.0.1")
    replies = [f for f in exchange(fresh, bytes(ask)) if s.ARP in f and f[s.ARP].op == 2]
    if len(replies) != 1:
        raise LabError(f"{len(replies)} answers: {[f.summary() for f in replies]}")
    reply = replies[0]
    if reply[s.ARP].hwsrc != mac or reply.src != mac:
        raise LabError(f"answered by {reply[s.ARP].hwsrc}, not by {mac}")
    if tags_of(s, reply) != tags:
        raise LabError(f"answered with the tags {tags_of(s, reply)}, not {tags}")
    return f"tags {tags}: {mac}"


def unknown(fresh, tags: list[int]) -> str:
    """Tags of no vport: no answer, and the drop is counted."""
    s, _ = scapy()

    def counted() -> int:
        return sum(row["packets"] for row in fresh.topology.show("a", "drops")
                   if row["reason"] == "vlan_unknown" and row.get("port") == "access")

    before = counted()
    ask = tagged(s, tags) / s.ARP(op=1, hwsrc=ASKER, psrc="10.88.0.9", pdst="10.88.0.1")
    replies = [f for f in exchange(fresh, bytes(ask)) if s.ARP in f and f[s.ARP].op == 2]
    if replies:
        raise LabError(f"answered: {replies[0].summary()}")
    if counted() != before + 1:
        raise LabError(f"vlan_unknown went from {before} to {counted()}")
    return f"tags {tags}: dropped as vlan_unknown"


with FreshLab("test-vlans", pops=("a",), frr=False) as fresh:
    case("vports come up", up, fresh)
    time.sleep(0.5)
    for name in VPORTS:
        case(f"ARP on {name}", answers, fresh, name)
    for tags in ([32], [30, 41], [31], [40, 30]):
        case(f"unknown tags {tags}", unknown, fresh, tags)
    case("ledger", balanced, fresh.topology, ("a",))
finish()
