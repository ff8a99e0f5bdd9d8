"""BGP speakers beside PoP A's tenant red: bird, which announces tables, and a peer that learns them.

Bird sits where the carrier ends, `wire-b`, behind a Linux vxlan device that is the other end of red's
tunnel; there what is sent to its prefixes arrives. No PoP runs at B in such a lab.
"""

from __future__ import annotations

import gzip
import json
import signal
import subprocess
import time

from .places import HERE, TOP, Lab, LabError
from .topology import Topology
from .traffic import end_child, signal_child

FAR = "wire-b"
FAR_DEVICE = "far1"
FAR_AS, POP_AS, PEER_AS = 65010, 65001, 65020
FAR_ADDRESSES = {4: "10.255.0.2", 6: "fd00:ff::2"}
POP_ADDRESSES = {4: "10.255.0.1", 6: "fd00:ff::1"}
FAR_SESSIONS = {family: (FAR_ADDRESSES[family], POP_ADDRESSES[family]) for family in (4, 6)}
PEER, PEER_HOST, PEER_GATEWAY = "red-host-a", "10.1.0.10", "10.1.0.1"


def make_far_end(lab: Lab) -> None:
    """The Linux end of red's tunnel; all that comes out of it is delivered there."""
    lab.shell(FAR, f"""
        sysctl -qw net.ipv4.ip_forward=0 net.ipv4.conf.all.rp_filter=0 \
            net.ipv4.conf.default.rp_filter=0
        ip link set c4 arp on address 02:00:00:02:04:01
        ip address add 192.0.2.2/30 dev c4
        ip link add name {FAR_DEVICE} type vxlan id 100 local 192.0.2.2 remote 192.0.2.1 dstport 4789
        sysctl -qw net.ipv6.conf.{FAR_DEVICE}.accept_dad=0
        ip link set {FAR_DEVICE} mtu 1500 up
        ip address add {FAR_ADDRESSES[4]}/30 dev {FAR_DEVICE}
        ip address add {FAR_ADDRESSES[6]}/64 dev {FAR_DEVICE}""")


def deliver_everything(lab: Lab) -> None:
    """Whatever comes out of the tunnel from red's site is the far end's own."""
    lab.shell(FAR, f"""
        ip route add 10.1.0.0/24 via {POP_ADDRESSES[4]}
        ip rule add pref 40000 lookup 100
        ip route add local default dev lo table 100""")


class Bird:
    """Announces lists of prefixes, each by name, when told; learns nothing."""

    def __init__(self, lab: Lab, lists: dict[str, list[str]],
                 next_hops: dict[str, str] | None = None, place: str = FAR,
                 sessions: dict[int, tuple[str, str]] | None = None) -> None:
        """A list is of one family. None is announced yet. Next hops are bird's own, or those said of
        single IPv4 prefixes. Sessions: family → (here, the PoP)."""
        self.lab, self.lists, self.place = lab, lists, place
        self.socket = f"/run/wye/bird-{place}.ctl"
        configuration = lab.logs / f"bird-{place}.conf"
        parts = ["log stderr { warning, error, fatal, bug };\nrouter id 192.0.2.2;\n"
                 "protocol device {}\n"]
        for name, prefixes in lists.items():
            routes = lab.logs / f"bird-{place}-{name}.conf"
            routes.write_text("".join(f"route {prefix} blackhole;\n" for prefix in prefixes))
            family = 6 if ":" in prefixes[0] else 4
            parts.append(f'protocol static list_{name} {{ disabled; ipv{family};\n'
                         f'include "{routes}";\n}}\n')
        others = "\n".join(f"if net = {prefix} then bgp_next_hop = {address};"
                           for prefix, address in (next_hops or {}).items())
        for family, (here, there) in (sessions or FAR_SESSIONS).items():
            export = f"filter {{ {others} accept; }}" if family == 4 and others else "all"
            parts.append(f"""protocol bgp pop{family} {{
  local {here} as {FAR_AS}; neighbor {there} as {POP_AS};
  connect retry time 1; connect delay time 1; error wait time 1,4; hold time 240;
  ipv{family} {{ import none; export {export}; }};
}}
""")
        configuration.write_text("".join(parts))
        lab.spawn(place, "bird", "-f", "-c", str(configuration), "-s", self.socket,
                  log=f"bird-{place}.log")

    def __str__(self) -> str:
        return f"{sum(len(prefixes) for prefixes in self.lists.values())} prefixes at hand"

    def birdc(self, *words: str) -> str:
        return self.lab.run(self.place, "birdc", "-s", self.socket, *words, check=False).stdout

    def await_established(self, family: int = 4, seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        while "Established" not in self.birdc("show", "protocols", f"pop{family}"):
            if time.monotonic() > deadline:
                raise LabError(f"bird's session over IPv{family} does not come up: "
                               + self.birdc("show", "protocols", "all", f"pop{family}"))
            time.sleep(0.1)

    def announce(self, name: str) -> None:
        self.birdc("enable", f"list_{name}")

    def withdraw(self, name: str) -> None:
        self.birdc("disable", f"list_{name}")


def configure_frr(topology: Topology, suppress: bool = True) -> None:
    """Red's BGP at PoP A: what bird says is re-announced to the peer at the site."""
    topology.configure(
        "a", f"router bgp {POP_AS} vrf red", "bgp router-id 10.255.0.1",
        "no bgp ebgp-requires-policy", "no bgp default ipv4-unicast",
        *(["bgp suppress-fib-pending"] if suppress else []),
        f"neighbor {FAR_ADDRESSES[4]} remote-as {FAR_AS}",
        f"neighbor {FAR_ADDRESSES[6]} remote-as {FAR_AS}",
        f"neighbor {PEER_HOST} remote-as {PEER_AS}", f"neighbor {PEER_HOST} passive",
        "address-family ipv4 unicast", f"neighbor {FAR_ADDRESSES[4]} activate",
        f"neighbor {PEER_HOST} activate", "exit-address-family",
        "address-family ipv6 unicast", f"neighbor {FAR_ADDRESSES[6]} activate",
        "exit-address-family")


def peer_is_up(topology: Topology, vrf: str = "red", peer: str = PEER_HOST) -> bool:
    shown = json.loads(topology.vtysh("a", f"show bgp vrf {vrf} ipv4 unicast summary json") or "{}")
    return shown.get("peers", {}).get(peer, {}).get("state") == "Established"


class Agent:
    """One of labkit/agents at a place of the lab: says "ready", and a JSON object when ended."""

    def __init__(self, lab: Lab, place: str, name: str, *arguments: str) -> None:
        self.name = name
        self.process = lab.spawn(place, "/usr/bin/python3", str(HERE / "agents" / f"{name}.py"),
                                 *arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                 text=True)
        if self.process.stdout.readline().strip() != "ready":
            raise LabError(f"{name} at {place} does not start: {self.process.stderr.read()}")

    def end(self, timeout: float = 20) -> dict:
        if self.process.poll() is None:
            end_child(self.process)
        said, error = self.process.communicate(timeout=timeout)
        if not said:
            raise LabError(f"{self.name}: {error}")
        return json.loads(said)


class ProbingPeer:
    """Red's BGP peer at the site. Sends a datagram to each prefix at the moment it learns it; the far
    end writes down which arrive."""

    PORT = 7900

    def __init__(self, lab: Lab, place: str = PEER, router: str = PEER_GATEWAY) -> None:
        self.lab = lab
        self.progress = lab.logs / "bgp-peer.progress"
        count = str(lab.logs / "probe-sink.count")
        self.sink = Agent(lab, FAR, "probe_sink", str(self.PORT), count)
        self.peer = Agent(lab, place, "bgp_probe", router, str(PEER_AS), str(self.PORT),
                          str(self.progress), count)

    def learned(self) -> int:
        """So far; prefixes that were withdrawn again are not counted."""
        return int(self.progress.read_text().split()[0])

    def learned_prefixes(self) -> set[str]:
        """The agent writes them when it is asked to."""
        known = self.progress.with_suffix(".prefixes")
        known.unlink(missing_ok=True)
        signal_child(self.peer.process, signal.SIGUSR1)
        deadline = time.monotonic() + 10
        while not known.exists():
            if time.monotonic() > deadline:
                raise LabError("the probing peer does not say what it has learned")
            time.sleep(0.01)
        return set(known.read_text().split())

    def __enter__(self) -> "ProbingPeer":
        return self

    def __exit__(self, *_) -> None:
        for agent in (self.peer, self.sink):
            if agent.process.poll() is None:
                agent.end()

    def end(self) -> tuple[dict, dict]:
        """What the peer learned and when it sent, what the far end got: prefix → monotonic ns."""
        peer = self.peer.end()
        time.sleep(0.5)
        return peer, self.sink.end()


def real_table(family: int) -> list[str]:
    """The prefixes of bench/data."""
    with gzip.open(TOP / "bench" / "data" / "bgp-prefixes.txt.gz", "rt") as lines:
        return [line.strip() for line in lines if (":" in line) == (family == 6)]
