#!/usr/bin/python3
"""EVPN type 5, symmetric: two PoPs with wye, a plain Linux router and a route reflector.

Tenants red and blue have the same addresses everywhere; blue is not on router c.
"""

from __future__ import annotations

import json
import time

from tap import FreshLab, LabError, balanced, case, finish

from labkit.fabric import TENANTS, Fabric, router_mac, tunnel_end
from labkit.story import wait_for
from labkit.traffic import end_child, ping
from labkit.wire import Capture

SERVICE = "10.50.0.1"
FLOWS = 120

ANSWER = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("10.50.0.1", 9))
while True:
    data, peer = s.recvfrom(2048)
    s.sendto(sys.argv[1].encode(), peer)
"""
ASK = f"""
import json, socket, sys, time
flows, answers = [], {{}}
for port in range({FLOWS}):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("", 20000 + port))
    s.settimeout(2)
    s.sendto(b"who", ("{SERVICE}", 9))
    flows.append(s)
    time.sleep(0.001)
for s in flows:
    try:
        who = s.recv(99).decode()
    except TimeoutError:
        who = "nobody"
    answers[who] = answers.get(who, 0) + 1
print(json.dumps(answers))
"""


class Test:
    def __init__(self, fabric: Fabric) -> None:
        self.fabric, self.lab, self.topology = fabric, fabric.lab, fabric.topology

    def rows(self, pop: str, vrf: str, prefix: str) -> list[dict]:
        return self.topology.show(pop, "routes", "--vrf", vrf, "--prefix", prefix)

    def has(self, pop: str, vrf: str, prefix: str, *ends: str) -> bool:
        vports = {row.get("vport") for row in self.rows(pop, vrf, prefix)
                  if row["state"] == "installed"}
        return vports == {f"evpn.{TENANTS[vrf]}.{tunnel_end(end)}" for end in ends}

    def tunnels(self, pop: str) -> set[str]:
        return {row["tunnel"] for row in self.topology.show(pop, "tunnels")}

    # -- cases ------------------------------------------------------------------------------------

    def routes(self) -> str:
        for pop, others in (("a", "bc"), ("b", "ac")):
            for other in others:
                n = {"a": 1, "b": 2, "c": 3}[other]
                for vrf in TENANTS:
                    if vrf == "blue" and other == "c":
                        continue
                    for prefix in (f"10.{n}.0.0/24", f"fd00:{n}::/64"):
                        wait_for(lambda: self.has(pop, vrf, prefix, other),
                                 f"{prefix} of {vrf} at {pop}: {self.rows(pop, vrf, prefix)}", 30)
        expected = {"evpn.100.192.0.2.2", "evpn.100.192.0.2.3", "evpn.200.192.0.2.2"}
        if self.tunnels("a") != expected:
            raise LabError(f"tunnels at a: {self.tunnels('a')}")
        return f"10 routes, tunnels {sorted(expected)}"

    def settled(self) -> str:
        for pop in "ab":
            for tenant in TENANTS:
                wait_for(lambda: "tentative" not in self.lab.run(f"{pop}/{tenant}", "ip", "-6",
                                                                 "address").stdout,
                         "an IPv6 address of the twins stays tentative", 10)
        return "no address is tentative"

    def pinged(self, place: str, address: str, count: int = 4, size: int = 56) -> str:
        got = ping(self.lab, place, address, count, size=size)
        if got != count:
            raise LabError(f"{got} of {count} answers from {address} at {place}, {size} bytes")
        return f"{got} answers"

    def isolated(self) -> str:
        """Blue is not on c: what only red has there is not reached, by either."""
        self.lab.shell("blue-host-b", "ip address add 10.77.0.1/32 dev lo")
        self.topology.configure("b", "vrf blue", "ip route 10.77.0.1/32 10.2.0.10")
        try:
            wait_for(lambda: self.has("a", "blue", "10.77.0.1/32", "b"), "blue's own route", 15)
            self.pinged("blue-host-a", "10.77.0.1")
            for place, address in (("red-host-a", "10.77.0.1"), ("red-host-c", "10.77.0.1"),
                                   ("blue-host-a", "10.3.0.10"), ("blue-host-b", "fd00:3::10")):
                if ping(self.lab, place, address, 2) != 0:
                    raise LabError(f"{place} reaches {address}")
        finally:
            self.topology.configure("b", "vrf blue", "no ip route 10.77.0.1/32 10.2.0.10")
        return "red and blue keep apart"

    def wire(self) -> str:
        """What Linux gets and sends, as tshark decodes it."""
        fields = {}
        capture = Capture(self.lab, "c", "core0", "udp port 4789")
        self.pinged("red-host-a", "10.3.0.10")
        self.pinged("red-host-a", "fd00:3::10")
        frames = capture.stop()
        lines = self.lab.run("lab", "tshark", "-r", capture.file, "-n", "-T", "fields",
                             "-e", "ip.src", "-e", "vxlan.vni", "-e", "eth.dst", "-e", "eth.src"
                             ).stdout.splitlines()
        for line in lines:
            source, vni, to, by = (part.split(",") for part in line.split("\t"))
            fields.setdefault(source[0], []).append((vni[0], to[-1], by[-1]))
        a, c = tunnel_end("a"), tunnel_end("c")
        if set(fields.get(a, [])) != {("100", router_mac("c", "red"), router_mac("a", "red"))}:
            raise LabError(f"from a: {fields.get(a)}")
        if set(fields.get(c, [])) != {("100", router_mac("a", "red"), router_mac("c", "red"))}:
            raise LabError(f"from c: {fields.get(c)}")
        bad = [frame for frame in frames if frame["_ws.malformed"]
               or "0" in frame["ip.checksum.status"] or "0" in frame["udp.checksum.status"]]
        if bad:
            raise LabError(f"tshark objects to {bad[0]}")
        return f"{len(frames)} frames, VNI 100, router MACs both ways"

    def answers(self) -> dict[str, int]:
        return json.loads(self.lab.run("red-host-a", "/usr/bin/python3", "-c", ASK).stdout)

    def c_knows_a(self) -> None:
        """The way back from Linux is there, and has come to rest."""
        wait_for(lambda: ping(self.lab, "red-host-a", "10.3.0.10", 3) == 3, "no answers of c", 30)

    def two_serve_one(self) -> str:
        """One prefix at b and c: its flows are spread over both, and all survive the loss of one."""
        servers = []
        for router in "bc":
            self.lab.shell(f"red-host-{router}", f"ip address add {SERVICE}/32 dev lo")
            servers.append(self.lab.spawn(f"red-host-{router}", "/usr/bin/python3", "-c", ANSWER,
                                          router))
            n = {"b": 2, "c": 3}[router]
            self.topology.configure(router, "vrf red", f"ip route {SERVICE}/32 10.{n}.0.10")
        try:
            wait_for(lambda: self.has("a", "red", f"{SERVICE}/32", "b", "c"),
                     f"two next hops: {self.rows('a', 'red', f'{SERVICE}/32')}", 20)
            both = self.answers()
            if min(both.get("b", 0), both.get("c", 0)) < FLOWS / 4 or both.get("nobody"):
                raise LabError(f"{FLOWS} flows were answered by {both}")
            self.lab.shell("fabric", "ip link set to-c down")
            begun = time.monotonic()
            wait_for(lambda: self.has("a", "red", f"{SERVICE}/32", "b"), "c is lost", 15)
            took = time.monotonic() - begun
            one = self.answers()
            if one != {"b": FLOWS}:
                raise LabError(f"without c {FLOWS} flows were answered by {one}")
            self.lab.shell("fabric", "ip link set to-c up")
            wait_for(lambda: self.has("a", "red", f"{SERVICE}/32", "b", "c"), "c is back", 30)
            self.c_knows_a()
            again = self.answers()
            if again != both:
                raise LabError(f"flows were answered by {both}, and after c's return by {again}")
        finally:
            for server in servers:
                end_child(server)
        return f"{both}; without c {one} after {took:.1f} s (hold time 3 s); then {again}"

    def shim_killed(self) -> str:
        """Nothing is lost when the shim dies and comes back: tunnels stay until zebra has told all."""
        stream = self.lab.spawn("red-host-a", "ping", "-n", "-q", "-i", "0.005", "-w", "8",
                                "10.3.0.10", stdout=-1, text=True)
        time.sleep(0.7)
        self.topology.kill("a", "shim")
        time.sleep(0.5)
        self.fabric.start_shim("a")
        self.topology.await_ready("a", seconds=30)
        said = stream.communicate(timeout=30)[0]
        if " 0% packet loss" not in said:
            raise LabError(said)
        return said.strip().splitlines()[-2]

    def zebra_stopped(self) -> str:
        """FRR of a ends in order, taking the router MACs along: what a sends to c still arrives. (The way
        back is gone: without a's BGP the others have no routes to it.)"""
        def arrived() -> int:
            links = json.loads(self.lab.run("red-host-c", "ip", "-s", "-j", "link", "show",
                                            "eth0").stdout)
            return links[0]["stats64"]["rx"]["packets"]
        for daemon in ("zebra", "bgpd", "staticd"):  # in the other order BGP takes its routes back
            self.topology.kill("a", daemon, "TERM")
        time.sleep(1)
        before = arrived()
        ping(self.lab, "red-host-a", "10.3.0.10", 20, interval=0.05)
        came = arrived() - before
        if came < 20:
            raise LabError(f"{came} of 20 arrived; tunnels {self.tunnels('a')}")
        self.fabric.start_frr("a", self.fabric.frr_conf("a"))
        self.topology.await_ready("a", seconds=40)
        self.c_knows_a()
        self.pinged("red-host-a", "10.3.0.10")
        return f"{came} packets arrived; answered again when FRR was back"

    def what_is_missing(self) -> str:
        self.lab.shell("a/red", "ip link delete vx100")
        reason = wait_for(lambda: next(
            (row["reason"] for row in self.topology.show("a", "routes", "--failed")
             if row["prefix"] == "10.3.0.0/24" and row["vrf"] == "red"), None)
            or not self.rows("a", "red", "10.3.0.0/24") and "zebra took the route away",
            "the loss of the vxlan device is not seen", 10)
        self.fabric.make_l3vni("a", "red")
        wait_for(lambda: self.has("a", "red", "10.3.0.0/24", "c"), "the route is not back", 30)
        # Router c hears of the loss and of the return too, some time later.
        self.c_knows_a()
        self.pinged("red-host-a", "10.3.0.10")
        return reason

    def traced(self) -> str:
        """Each router on the way speaks by an address of the tenant, also where it has no link's."""
        said = self.lab.run("red-host-c", "ping", "-n", "-c", "1", "-W", "2", "-t", "2", "10.1.0.10",
                            check=False).stdout
        if "From 10.1.0.1 " not in said or "Time to live exceeded" not in said:
            raise LabError(said)
        return "time exceeded from 10.1.0.1"

    def withdrawn(self) -> str:
        self.topology.configure("c", "router bgp 65000 vrf red", "address-family l2vpn evpn",
                                "no advertise ipv4 unicast", "no advertise ipv6 unicast")
        wait_for(lambda: not self.rows("a", "red", "10.3.0.0/24")
                 and "evpn.100.192.0.2.3" not in self.tunnels("a"),
                 f"routes and tunnel of c stay: {self.tunnels('a')}", 15)
        if ping(self.lab, "red-host-a", "10.3.0.10", 2) != 0:
            raise LabError("10.3.0.10 is still reached")
        return "routes and tunnel are gone"


with FreshLab("test-evpn", make=Fabric) as fresh:
    test = Test(fresh.topology)
    case("routes of type 5 make their tunnels", test.routes)
    case("addresses settle", test.settled)
    for far in ("10.2.0.10", "fd00:2::10", "10.3.0.10", "fd00:3::10"):
        case(f"red-host-a reaches {far}", test.pinged, "red-host-a", far)
    case("blue-host-a reaches blue-host-b", test.pinged, "blue-host-a", "10.2.0.10")
    case("Linux reaches a host behind wye", test.pinged, "red-host-c", "10.1.0.10")
    case("the router reaches Linux's host", test.pinged, "a/red", "10.3.0.10")
    case("Linux's host reaches the router", test.pinged, "red-host-c", "10.1.0.1")
    case("errors come from an address of the VRF", test.traced)
    case("full-sized packets", test.pinged, "red-host-a", "10.3.0.10", 4, 1472)
    case("tenants keep apart", test.isolated)
    case("on the wire", test.wire)
    case("two PoPs serve one prefix", test.two_serve_one)
    case("shim killed under traffic", test.shim_killed)
    case("FRR stopped and started again", test.zebra_stopped)
    case("a vxlan device goes and comes back", test.what_is_missing)
    case("withdrawal takes the tunnel along", test.withdrawn)
    case("ledger", balanced, fresh.topology.topology)
finish()
