#!/usr/bin/python3
"""Two next hops of a route typed in vtysh: spread over both, moved when a gateway goes, and back.

The gateways are Linux vxlan devices in `wire-b`, where no PoP runs. Each counts what comes out of
its tunnel; nothing there answers or forwards. Also: a route that zebra has before its VRF has a
tenant.
"""

import json

from tap import FreshLab, LabError, balanced, case, finish

from labkit.story import Story, wait_for
from labkit.traffic import ping

FAR = "wire-b"
FLOWS = 200
SIZE = 1028  # of one datagram with its UDP and IP headers
PREFIX = "10.2.0.0/24"
GATEWAYS = {"far1": (100, "10.255.0.2"), "far2": (103, "10.255.4.2")}

TUNNEL = "      - {name: red-vxlan, kind: vxlan, local: 192.0.2.1, remote: 192.0.2.2, vni: 100}\n"
SECOND = """
      - name: red-c
        vrf: red
        tunnel: red-vxlan-2
        mac: 02:00:00:01:10:fe
        mtu: 1500
        addresses: [10.255.4.1/30]
"""
GREEN = """
  - name: green
    vrfs:
      - {name: green, vni: 300, netns: green}
"""


def two_tunnels(text: str) -> str:
    text = text.replace(TUNNEL, TUNNEL + TUNNEL.replace("red-vxlan", "red-vxlan-2")
                        .replace("vni: 100", "vni: 103"))
    return text.replace("\n  - name: blue\n", SECOND + "\n  - name: blue\n")


def make_far_end(lab, name: str) -> None:
    vni, address = GATEWAYS[name]
    lab.shell(FAR, f"""
        ip link add name {name} type vxlan id {vni} local 192.0.2.2 remote 192.0.2.1 dstport 4789
        sysctl -qw net.ipv6.conf.{name}.disable_ipv6=1
        ip link set {name} mtu 1500 up
        ip address add {address}/30 dev {name}""")


def make_carrier(lab) -> None:
    lab.shell(FAR, """
        sysctl -qw net.ipv4.ip_forward=0
        ip link set c4 arp on address 02:00:00:02:04:01
        ip address add 192.0.2.2/30 dev c4""")
    for name in GATEWAYS:
        make_far_end(lab, name)


def received(lab) -> dict[str, int]:
    links = json.loads(lab.run(FAR, "ip", "-s", "-j", "link", "show").stdout)
    return {link["ifname"]: link["stats64"]["rx"]["bytes"] for link in links
            if link["ifname"] in GATEWAYS}


SEND = f"""
import socket
for port in range({FLOWS}):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("", 20000 + port))
    s.sendto(bytes({SIZE - 28}), ("10.2.0.10", 9))
"""


def spread(lab) -> dict[str, int]:
    """How many datagrams of one burst came out of each tunnel; ARP is too short to count."""
    before = received(lab)
    lab.run("red-host-a", "/usr/bin/python3", "-c", SEND)
    def all_there():
        now = received(lab)
        counts = {name: (now[name] - before.get(name, 0)) // SIZE for name in now}
        return counts if sum(counts.values()) >= FLOWS else None
    try:
        return wait_for(all_there, "not all flows arrived", 2)
    except Exception:
        now = received(lab)
        return {name: (now[name] - before.get(name, 0)) // SIZE for name in now}


def by_both(lab) -> str:
    # The sender's own kernel keeps only about 90 packets while it asks for its gateway.
    ping(lab, "red-host-a", "10.1.0.1", 1)
    counts = spread(lab)
    if sum(counts.values()) != FLOWS or min(counts.values()) < FLOWS // 4:
        raise LabError(f"{FLOWS} flows were sent, {counts} came")
    return f"{counts}"


def first_route(fresh) -> str:
    story = Story(fresh.lab)
    story.apply("a", story.edited_manifest("a", "two-tunnels", two_tunnels))
    fresh.topology.configure("a", "vrf red", *[f"ip route {PREFIX} {address}"
                                               for _, address in GATEWAYS.values()])
    wait_for(lambda: story.installed("a", "red", PREFIX), "the route is not installed", 15)
    def resolved():
        known = {row["address"] for row in fresh.topology.show("a", "neighbours")}
        return known >= {address for _, address in GATEWAYS.values()}
    wait_for(resolved, "the gateways are not resolved without traffic", 15)
    return "two next hops, both resolved before the first packet"


def one_gone(fresh) -> str:
    lab = fresh.lab
    lab.shell(FAR, "ip link del far2")
    def moved():
        counts = spread(lab)
        return counts if counts == {"far1": FLOWS} else None
    wait_for(moved, "flows of the dead gateway are still lost", 20, 0.5)
    for _ in range(3):
        counts = spread(lab)
        if counts != {"far1": FLOWS}:
            raise LabError(f"{FLOWS} flows were sent, {counts} came")
    return "all flows by the other"


def back_again(fresh) -> str:
    make_far_end(fresh.lab, "far2")
    def both():
        counts = spread(fresh.lab)
        return counts if counts.get("far2", 0) >= FLOWS // 4 else None
    wait_for(both, "no flow returns to the gateway that is back", 20, 0.5)
    return by_both(fresh.lab)


def late_vrf(fresh) -> str:
    lab, topology, story = fresh.lab, fresh.topology, Story(fresh.lab)
    lab.shell("a", "ip netns add green; ip -n green link set lo up")
    def in_zebra(flag):
        text = topology.vtysh("a", "show ip route vrf green 198.51.100.0/24 json")
        try:
            routes = json.loads(text)
        except ValueError:
            return False
        return any(route.get(flag) for route in routes.get("198.51.100.0/24", []))
    wait_for(lambda: "green" in topology.vtysh("a", "show vrf"), "zebra does not adopt green", 10)
    topology.configure("a", "vrf green", "ip route 198.51.100.0/24 blackhole")
    def unresolved():
        rows = topology.show("a", "routes", "--vrf", "green", "--prefix", "198.51.100.0/24")
        return [row["state"] for row in rows] == ["unresolved"]
    wait_for(unresolved, "the route is not kept as unresolved", 10)
    if in_zebra("installed"):
        raise LabError("zebra takes a route for installed whose VRF has no tenant")
    story.apply("a", story.edited_manifest("a", "green", lambda text: two_tunnels(text) + GREEN))
    wait_for(lambda: story.installed("a", "green", "198.51.100.0/24"), "it is not programmed", 5)
    wait_for(lambda: in_zebra("installed"), "zebra goes on showing it as failed", 10)
    return "unresolved without a tenant, installed with one, and zebra knows"


with FreshLab("test-ecmp", pops=("a",)) as fresh:
    case("Linux makes two ends", make_carrier, fresh.lab)
    case("a route with two next hops", first_route, fresh)
    case("flows are spread over both", by_both, fresh.lab)
    case("a gateway goes", one_gone, fresh)
    case("it comes back", back_again, fresh)
    case("a VRF gets its tenant after its routes", late_vrf, fresh)
    case("ledger", balanced, fresh.topology, ("a",))
finish()
