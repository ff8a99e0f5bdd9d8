#!/usr/bin/python3
"""OSPF, IS-IS and BGP without addresses over a twin: red's host is a router with FRR and Linux's own data
plane, and what each protocol learns is forwarded by wye, both ways."""

from __future__ import annotations

from tap import FreshLab, LabError, balanced, case, finish

from labkit.story import wait_for
from labkit.traffic import ping

HOST = "red-host-a"
HERE, THERE = 65001, 65020
LEARNED = {  # protocol: what the host announces by it; lo has them
    "ospf": "10.20.1.1/32",
    "ospf6": "fd00:20:1::1/128",
    "isis": "10.20.2.1/32",
    "isis ipv6": "fd00:20:2::1/128",
    "bgp": "10.20.3.1/32",
    "bgp ipv6": "fd00:20:3::1/128",
}


def daemons() -> tuple[str, ...]:
    return ("ospfd", "ospf6d", "isisd", "bgpd")


def start_host_router(lab, topology) -> str:
    lab.make_mount(HOST)
    addresses = "\n".join(f"ip address add {prefix} dev lo" for prefix in LEARNED.values())
    lab.shell(HOST, f"""
        mkdir -p /run/wye/{HOST} /run/netns /run/frr /etc/frr
        for folder in /run/netns /run/frr /etc/frr; do
            mount -t tmpfs -o mode=755 wye-lab $folder
        done
        touch /etc/frr/vtysh.conf /etc/frr/frr.conf
        chown frr:frr /run/frr /etc/frr /etc/frr/*
        sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
        {addresses}""")
    topology.start(HOST, "zebra", HOST, "/usr/lib/frr/zebra", "-P", "0", "--log", "stdout")
    topology.await_vty(HOST, "zebra")
    for daemon in daemons():
        topology.start_daemon(HOST, daemon)
        topology.await_vty(HOST, daemon)
    for daemon in daemons()[:-1]:  # bgpd is there
        topology.start_daemon("a", daemon)
        topology.await_vty("a", daemon)
    return ", ".join(daemons())


def interface(name: str, vrf: str = "") -> list[str]:
    # Timers first: the wait for a designated router is as long as they say when OSPF begins.
    return [f"interface {name}{vrf and f' vrf {vrf}'}", "ip ospf hello-interval 1",
            "ip ospf dead-interval 4", "ip ospf area 0", "ipv6 ospf6 hello-interval 1",
            "ipv6 ospf6 dead-interval 4", "ipv6 ospf6 area 0", "ip router isis core", "ipv6 router isis core",
            "isis hello-interval 1", "isis circuit-type level-2-only",
            "ipv6 nd ra-interval 1", "no ipv6 nd suppress-ra", "exit"]


def instances(number: int, vrf: str = "") -> list[str]:
    where = f" vrf {vrf}" if vrf else ""
    return [f"router ospf{where}", f"ospf router-id 10.1.0.{number}", "timers throttle spf 50 50 500",
            "exit", f"router ospf6{where}", f"ospf6 router-id 10.1.0.{number}", "exit",
            f"router isis core{where}", f"net 49.0001.0000.0000.00{number:02d}.00",
            "is-type level-2-only", "exit"]


def bgp(own: int, on: str, vrf: str = "", networks: bool = False) -> list[str]:
    lines = [f"router bgp {own}{vrf and f' vrf {vrf}'}", "no bgp ebgp-requires-policy",
             "no bgp default ipv4-unicast", f"neighbor {on} interface remote-as external",
             f"neighbor {on} timers 1 3", f"neighbor {on} timers connect 1"]
    for family, key in (("ipv4", "bgp"), ("ipv6", "bgp ipv6")):
        lines += [f"address-family {family} unicast", f"neighbor {on} activate"]
        lines += [f"network {LEARNED[key]}"] if networks else ["redistribute connected"]
        lines += ["exit-address-family"]
    return lines + ["exit"]


def configure(topology) -> str:
    topology.configure(HOST, *instances(10), *interface("eth0"),
                       # Each prefix by one protocol alone.
                       "ip prefix-list OSPF permit 10.20.1.1/32",
                       "ipv6 prefix-list OSPF6 permit fd00:20:1::1/128",
                       "ip prefix-list ISIS permit 10.20.2.1/32",
                       "ipv6 prefix-list ISIS6 permit fd00:20:2::1/128",
                       "route-map OSPF permit 10", "match ip address prefix-list OSPF", "exit",
                       "route-map OSPF6 permit 10", "match ipv6 address prefix-list OSPF6", "exit",
                       "route-map ISIS permit 10", "match ip address prefix-list ISIS", "exit",
                       "route-map ISIS6 permit 10", "match ipv6 address prefix-list ISIS6", "exit",
                       "router ospf", "redistribute connected route-map OSPF", "exit",
                       "router ospf6", "redistribute connected route-map OSPF6", "exit",
                       "router isis core",
                       "redistribute ipv4 connected level-2 route-map ISIS",
                       "redistribute ipv6 connected level-2 route-map ISIS6", "exit",
                       *bgp(THERE, "eth0", networks=True))
    topology.configure("a", *instances(1, "red"), *interface("red-site", "red"),
                       *bgp(HERE, "red-site", "red"))
    return "OSPFv2, OSPFv3, IS-IS, BGP by interface"


def learned(topology, protocol: str) -> str:
    prefix = LEARNED[protocol]

    def installed():
        rows = topology.show("a", "routes", "--vrf", "red", "--prefix", prefix)
        return next((row for row in rows if row["state"] == "installed"
                     and row["protocol"] == protocol.split()[0].rstrip("6")), None)

    row = wait_for(installed, f"{prefix} is not installed: "
                   f"{topology.show('a', 'routes', '--vrf', 'red', '--prefix', prefix)}", 40)
    return f"{prefix} via {row['nexthop']} {row['vport']}"


def answered(lab, place: str, address: str) -> str:
    got = ping(lab, place, address, 3)
    if got != 3:
        raise LabError(f"{got} of 3 answers from {address} at {place}")
    return "3 answers"


def by_ipv6_gateway(topology) -> str:
    """RFC 8950: an IPv4 route whose next hop is a link-local IPv6 address."""
    rows = topology.show("a", "routes", "--vrf", "red", "--prefix", LEARNED["bgp"])
    if not rows or not rows[0]["nexthop"].startswith("fe80::"):
        raise LabError(f"{LEARNED['bgp']} goes by {rows}")
    return rows[0]["nexthop"]


def withdrawn(lab, topology) -> str:
    """The host's daemons end; each protocol notices by its own timers."""
    for daemon in daemons():
        topology.kill(HOST, daemon)
    for protocol, prefix in LEARNED.items():
        wait_for(lambda: not topology.show("a", "routes", "--vrf", "red", "--prefix", prefix),
                 f"{prefix} of {protocol} stays", 60)
    if ping(lab, "a/red", "10.20.1.1", 1):
        raise LabError("10.20.1.1 still answers")
    return "all six are gone"


with FreshLab("test-protocols", pops=("a",)) as fresh:
    lab, topology = fresh.lab, fresh.topology
    case("red's host is a router", start_host_router, lab, topology)
    case("configured", configure, topology)
    for protocol in LEARNED:
        case(f"learned by {protocol}", learned, topology, protocol)
    case("an IPv4 route by an IPv6 gateway", by_ipv6_gateway, topology)
    for protocol, prefix in LEARNED.items():
        case(f"forwarded: {protocol}", answered, lab, "a/red", prefix.partition("/")[0])
    case("withdrawn", withdrawn, lab, topology)
    case("ledger", balanced, topology, ("a",))
finish()
