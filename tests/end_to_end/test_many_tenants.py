#!/usr/bin/python3
"""200 tenants, each with a VRF, a vport by VLAN and a twin, on one port: up, used, gone."""

import time

from tap import FreshLab, LabError, case, finish

from labkit.isolation import scapy
from labkit.story import wait_for
from labkit.topology import CONF

COUNT = 200
FIRST_VLAN = 1000
LIMIT_SECONDS = 10


def manifest() -> str:
    """The lab's own, and COUNT tenants more, all with the same addresses."""
    parts = [(CONF / "a" / "manifest.yaml").read_text()]
    for i in range(COUNT):
        parts.append(f"""
  - name: t{i}
    vrfs: [{{name: t{i}, vni: {5000 + i}, netns: t{i}}}]
    vports:
      - name: t{i}-site
        vrf: t{i}
        port: access
        vlan: {FIRST_VLAN + i}
        mac: 02:00:01:00:{i >> 8:02x}:{i & 255:02x}
        addresses: [10.77.0.1/24]
""")
    return "".join(parts)


def twins(lab) -> int:
    """Interfaces named as the tenants' twins, over all their namespaces."""
    return int(lab.shell("a", f"""
        n=0
        for i in $(seq 0 {COUNT - 1}); do
            if nsenter --net=/run/netns/t$i test -e /proc/net/dev_snmp6/t$i-site; then
                n=$((n + 1))
            fi
        done
        echo $n""").stdout)


def leftovers(lab) -> str:
    """Everything in the tenants' namespaces that is not the loopback."""
    return lab.shell("a", f"""
        for i in $(seq 0 {COUNT - 1}); do
            nsenter --net=/run/netns/t$i sh -c 'ip -o link; ip rule; ip -6 rule' |
                grep -vE ': lo:|lookup (local|main|default)' | sed "s/^/t$i: /" || true
        done""").stdout


def memory(fresh) -> dict[str, int]:
    """What could be left behind, in KiB: the processes and the arena's file."""
    sizes = {}
    for name in ("shim", "dataplane"):
        pid = fresh.topology.pid("a", name)
        status = fresh.lab.run("lab", "cat", f"/proc/{pid}/status").stdout
        sizes[name] = int(status.split("VmRSS:")[1].split()[0])
        sizes[f"{name} descriptors"] = len(
            fresh.lab.run("lab", "ls", f"/proc/{pid}/fd").stdout.split())
    sizes["arena"] = int(fresh.lab.shell("lab", "du -k /run/wye/a/arena-* | cut -f1").stdout)
    return sizes


def namespaces(lab) -> str:
    lab.shell("a", f"for i in $(seq 0 {COUNT - 1}); do ip netns add t$i; done")
    return f"{COUNT} namespaces"


def up(fresh) -> str:
    path = "/run/wye/a/many.yaml"
    fresh.lab.run("a", "sh", "-c", f"cat > {path}", input=manifest())
    begun = time.monotonic()
    fresh.topology.wyectl("a", "apply", "-f", path)

    def ready():
        rows = [r for r in fresh.topology.show("a", "vports") if r["vport"].startswith("t")]
        return len(rows) == COUNT and all(r["state"] == "up" for r in rows)

    wait_for(ready, f"not all of {COUNT} vports are up", LIMIT_SECONDS, 0.1)
    took = time.monotonic() - begun
    if took > LIMIT_SECONDS:
        raise LabError(f"{took:.1f} s, more than {LIMIT_SECONDS}")
    found = twins(fresh.lab)
    if found != COUNT:
        raise LabError(f"{found} twins in the kernel instead of {COUNT}")
    return f"{took:.1f} s"


def answers(fresh) -> str:
    """A host on three of the VLANs asks for the same address and gets its own tenant's MAC."""
    s, _ = scapy()
    for i in (0, COUNT // 2, COUNT - 1):
        frame = (s.Ether(src="02:00:00:00:99:01", dst="ff:ff:ff:ff:ff:ff") /
                 s.Dot1Q(vlan=FIRST_VLAN + i) /
                 s.ARP(op=1, hwsrc="02:00:00:00:99:01", psrc="10.77.0.9", pdst="10.77.0.1"))
        capture = fresh.lab.spawn("switch-a", "timeout", "5", "tcpdump", "-nei", "trunk", "-c", "1",
                                  "-Q", "in", f"vlan {FIRST_VLAN + i} and arp",
                                  stdout=-1, stderr=-2, text=True)
        capture.stdout.readline()
        capture.stdout.readline()
        from labkit.isolation import Findings, inject
        inject(fresh.lab, "switch-a", "trunk", [bytes(frame)], Findings())
        out, _ = capture.communicate(timeout=10)
        mac = f"02:00:01:00:{i >> 8:02x}:{i & 255:02x}"
        if f"is-at {mac}" not in out:
            raise LabError(f"tenant t{i}: no ARP answer with {mac}: {out}")
    return "three tenants asked for 10.77.0.1, three different answers"


def gone(fresh) -> str:
    begun = time.monotonic()
    fresh.topology.wyectl("a", "apply", "-f", str(CONF / "a" / "manifest.yaml"))
    wait_for(lambda: twins(fresh.lab) == 0, "twins are left in the kernel", 20, 0.2)
    rows = [r for r in fresh.topology.show("a", "vports") if r["vport"].startswith("t")]
    if rows:
        raise LabError(f"{len(rows)} vports are still shown")
    rest = leftovers(fresh.lab)
    if rest:
        raise LabError(f"left in the namespaces: {rest[:400]}")
    return f"{time.monotonic() - begun:.1f} s"


def cycle(fresh) -> None:
    """Up and away, without looking at each twin."""
    fresh.topology.wyectl("a", "apply", "-f", "/run/wye/a/many.yaml")
    time.sleep(0.5)
    fresh.topology.wyectl("a", "apply", "-f", str(CONF / "a" / "manifest.yaml"))
    time.sleep(0.5)


def without_a_trace(fresh) -> str:
    """Again and again: once allocators have warmed up nothing grows, and every id is used again."""
    for _ in range(4):
        cycle(fresh)
    first = memory(fresh)
    for _ in range(4):
        cycle(fresh)
    gone(fresh)
    last = memory(fresh)
    for what in ("shim descriptors", "dataplane descriptors"):
        if last[what] > first[what]:
            raise LabError(f"{what}: {first[what]} → {last[what]}")
    for what in ("shim", "dataplane", "arena"):
        # 800 tenants that left one KiB each behind would show.
        if last[what] > first[what] + 800:
            raise LabError(f"{what}: {first[what]} → {last[what]} KiB")
    return ", ".join(f"{k}: {first[k]} → {last[k]}" for k in first)


with FreshLab("test-many", pops=("a",), frr=False) as fresh:
    case("namespaces", namespaces, fresh.lab)
    case(f"{COUNT} tenants come up in under {LIMIT_SECONDS} s", up, fresh)
    case("each answers for itself", answers, fresh)
    case("they go away", gone, fresh)
    case("without a trace", without_a_trace, fresh)
finish()
