#!/usr/bin/python3
"""VXLAN against Linux: the far end of red's tunnel is the kernel's own vxlan device."""

from tap import FreshLab, LabError, balanced, case, finish

from labkit.story import wait_for
from labkit.traffic import ping

FAR = "wire-b"  # no PoP runs there in this test: it is a plain Linux host on the carrier


def make_far_end(lab) -> str:
    lab.shell(FAR, """
        sysctl -qw net.ipv6.conf.c4.disable_ipv6=0
        ip link set c4 arp on address 02:00:00:02:04:01
        ip address add 192.0.2.2/30 dev c4
        ip link add name far type vxlan id 100 local 192.0.2.2 remote 192.0.2.1 dstport 4789
        sysctl -qw net.ipv6.conf.far.accept_dad=0
        ip link set far mtu 1500 up
        ip address add 10.255.0.2/30 dev far
        ip address add fd00:ff::2/64 dev far
        ip route add 10.1.0.0/24 via 10.255.0.1
        ip -6 route add fd00:1::/64 via fd00:ff::1""")
    return "vxlan id 100 between 192.0.2.2 and 192.0.2.1"


def answered(lab, place: str, address: str, count: int, size: int = 56) -> str:
    got = ping(lab, place, address, count, size=size)
    if got != count:
        raise LabError(f"{got} of {count} answers from {address} at {place}, {size} bytes")
    return f"{got} answers of {count}, {size} bytes"


def settled_addresses(lab) -> str:
    """Duplicate address detection on the twins ends a second or two after they come up."""
    wait_for(lambda: "tentative" not in lab.run("a/red", "ip", "-6", "address").stdout,
             "an IPv6 address of the twins stays tentative", 10)
    return "no address is tentative"


def dropped_for(topology, reason: str) -> int:
    return sum(row["packets"] for row in topology.show("a", "drops") if row["reason"] == reason and row.get("port"))


def wrong_vni(fresh) -> str:
    before = dropped_for(fresh.topology, "tunnel_unknown")
    fresh.lab.shell(FAR, """
        ip link add name wrong type vxlan id 101 local 192.0.2.2 remote 192.0.2.1 dstport 4789
        ip link set wrong up
        ip address add 10.254.0.2/30 dev wrong""")
    if ping(fresh.lab, FAR, "10.254.0.1", 2) != 0:
        raise LabError("an unknown VNI was answered")
    now = dropped_for(fresh.topology, "tunnel_unknown")
    if now <= before:
        raise LabError(f"drops for tunnel_unknown stay at {before}")
    return f"{now - before} packets dropped as tunnel_unknown"


with FreshLab("test-vxlan", pops=("a",), frr=False) as fresh:
    lab = fresh.lab
    case("Linux makes its end", make_far_end, lab)
    case("addresses settle", settled_addresses, lab)
    case("the router pings Linux through the tunnel", answered, lab, "a/red", "10.255.0.2", 3)
    case("the router pings Linux, IPv6", answered, lab, "a/red", "fd00:ff::2", 3)
    case("Linux pings the router", answered, lab, FAR, "10.255.0.1", 3)
    case("Linux pings a host behind the router", answered, lab, FAR, "10.1.0.10", 3)
    case("Linux pings a host behind the router, IPv6", answered, lab, FAR, "fd00:1::10", 3)
    case("full-sized packets", answered, lab, FAR, "10.1.0.10", 3, 1472)
    case("an unknown VNI is dropped with its reason", wrong_vni, fresh)
    case("ledger", balanced, fresh.topology, ("a",))
finish()
