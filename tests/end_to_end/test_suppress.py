#!/usr/bin/python3
"""`bgp suppress-fib-pending` above wye: a BGP peer learns no prefix before wye forwards to it.

Bird announces prefixes to FRR in red's VRF at PoP A; FRR announces them to a peer at red's site, which
sends a datagram to each at the moment it learns it. All must arrive where the next hop is. And each
kind of refusal: shown by zebra, by wyectl with its reason, kept from the peer, healed.

    test_suppress.py [COUNT]     prefixes of the first part (100000)
"""

import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tap import FreshLab, LabError, balanced, case, finish

from labkit import bgp
from labkit.places import NAMESPACES
from labkit.story import Story, wait_for
from labkit.topology import CONF

COUNT = int(sys.argv[1]) if len(sys.argv) > 1 else 100000
UNPROVEN, FIRST = 500, 200
NEXT_HOPS = 64
ELSEWHERE, GATEWAYS = "10.77.0", "10.78.0"  # without their last number
GREEN = """
  - name: green
    vrfs:
      - {name: green, vni: 300, netns: green}
"""


def few_next_hops(folder: Path) -> Path:
    """The lab's configuration, with room for few next hops."""
    shutil.copytree(CONF, folder / "lab")
    path = folder / "lab" / "a" / "dataplane.yaml"
    path.write_text(path.read_text() + f"limits: {{nexthops: {NEXT_HOPS}}}\n")
    return folder / "lab"




def some_prefixes(count: int, seed: int) -> list[str]:
    """Of the real table, at random; none that the lab itself uses."""
    table = [prefix for prefix in bgp.real_table(4)
             if not prefix.startswith(("10.", "192.0.2.", "198.18.", "0."))
             and not prefix.endswith(("/31", "/32"))]
    return random.Random(seed).sample(table, count)


def generous(text: str) -> str:
    head, tail = text.split("- name: blue\n", 1)
    return head.replace("routes: 10000", "routes: 1000000").replace(
        "punt_pps: 5000", "punt_pps: 100000") + "- name: blue\n" + tail


def drops(topology) -> dict[str, int]:
    return {row["reason"]: row["packets"] for row in topology.show("a", "drops")
            if row.get("tenant") == "red"}


def no_route(topology) -> int:
    return drops(topology).get("no_route", 0)


def begin(fresh) -> bgp.Bird:
    lab, topology, story = fresh.lab, fresh.topology, Story(fresh.lab)
    story.apply("a", story.edited_manifest("a", "generous", generous))
    bgp.make_far_end(lab)
    bgp.deliver_everything(lab)
    bgp.configure_frr(topology, suppress=False)
    many = some_prefixes(COUNT + UNPROVEN + FIRST, 5)
    left, right, other = ([f"198.18.{n}.0/24" for n in numbers] for numbers in (
        range(2, 2 + NEXT_HOPS // 2), range(100, 100 + NEXT_HOPS // 2 + 8), (200, 201)))
    next_hops = {prefix: f"{GATEWAYS}.{prefix.split('.')[2]}" for prefix in left + right}
    bird = bgp.Bird(lab, {"many": many[:COUNT], "some": many[COUNT:-FIRST], "first": many[-FIRST:],
                          "left": left, "right": right, "other": other},
                    next_hops | {prefix: f"{ELSEWHERE}.5" for prefix in other})
    bird.await_established()
    return bird


def without_suppression(fresh, bird) -> str:
    """The measurement bites: of a router that announces what does not work yet, it says so."""
    lab, topology = fresh.lab, fresh.topology
    with bgp.ProbingPeer(lab) as peer:
        topology.pause("a", "shim")
        try:
            bird.announce("some")
            wait_for(lambda: peer.learned() == UNPROVEN, "the peer does not learn", 15)
            time.sleep(0.5)
        finally:
            topology.resume("a", "shim")
        learned, arrived = peer.end()
        bird.withdraw("some")
        if len(learned["learned"]) != UNPROVEN or arrived:
            raise LabError(f"{len(learned['learned'])} prefixes learned, {len(arrived)} probes arrived")
        return f"{UNPROVEN} prefixes learned while the shim stood still, no probe arrived"


def no_earlier_than_forwarded(fresh, bird) -> str:
    topology = fresh.topology
    topology.configure("a", "router bgp 65001 vrf red", "bgp suppress-fib-pending")
    topology.vtysh("a", "clear bgp vrf red *")
    with bgp.ProbingPeer(fresh.lab) as peer:
        wait_for(lambda: bgp.peer_is_up(topology), "the peer's session does not come up", 20)
        bird.await_established()
        before = no_route(topology)
        # Some of them come while the shim stands still, and may not be learned before it goes on.
        topology.pause("a", "shim")
        begun = time.monotonic()
        try:
            bird.announce("many")
            time.sleep(1)
            early = peer.learned()
        finally:
            topology.resume("a", "shim")
        wait_for(lambda: peer.learned() == COUNT, "the peer does not learn all", 30 + COUNT / 500)
        took = time.monotonic() - begun
        learned, arrived = peer.end()
        missing = set(learned["learned"]) - set(arrived)
        unrouted = no_route(topology) - before
        if early or missing or unrouted:
            raise LabError(f"{early} prefixes learned while the shim stood still; of {len(learned['learned'])} "
                           f"probes {len(missing)} did not arrive; {unrouted} had no route: {drops(topology)}")
        return (f"{len(arrived)} prefixes learned in {took:.1f} s (1.0 of them with the shim stopped), each "
                f"probed at once: all arrived")


# -- refusals ------------------------------------------------------------------------------------


def in_zebra(topology, vrf: str, prefixes) -> dict[str, str]:
    """prefix → what `show ip route` puts before it: * installed, q queued, r rejected, nothing."""
    states = {}
    for line in topology.vtysh("a", f"show ip route vrf {vrf}").splitlines():
        words = line.split()
        if len(words) > 1 and words[1] in prefixes:
            states[words[1]] = words[0][2:]
    return states


def in_wyectl(topology, vrf: str, *words: str) -> dict[str, dict]:
    return {row["prefix"]: row for row in topology.show("a", "routes", "--vrf", vrf, *words)}


def refused_everywhere(topology, vrf: str, peer, refused: set[str], reason: str) -> None:
    """zebra shows them r, wyectl says why, and the peer has learned none of them."""
    def in_all():
        zebra = in_zebra(topology, vrf, refused)
        failed = in_wyectl(topology, vrf, "--failed")
        return set(zebra) == refused and set(zebra.values()) == {"r"} and all(
            reason in failed.get(prefix, {}).get("reason", "") for prefix in refused)
    try:
        wait_for(in_all, "", 10, 0.2)
    except LabError:
        zebra = in_zebra(topology, vrf, refused)
        failed = in_wyectl(topology, vrf, "--failed")
        raise LabError(f"of {len(refused)} refused routes zebra shows {Counter(zebra.values())}, wyectl "
                       f"{Counter(failed.get(p, {}).get('reason') for p in refused)}") from None
    early = peer.learned_prefixes() & refused
    if early:
        raise LabError(f"the peer has learned {len(early)} refused prefixes: {sorted(early)[:3]}")


def healed(topology, vrf: str, peer, prefixes: set[str], seconds: float = 20) -> None:
    def in_all():
        return (set(in_zebra(topology, vrf, prefixes).values()) == {"*"}
                and not prefixes & set(in_wyectl(topology, vrf, "--failed"))
                and prefixes <= peer.learned_prefixes())
    try:
        wait_for(in_all, "", seconds, 0.2)
    except LabError:
        zebra = Counter(in_zebra(topology, vrf, prefixes).values())
        raise LabError(f"of {len(prefixes)} routes zebra shows {zebra}, wyectl refuses "
                       f"{len(prefixes & set(in_wyectl(topology, vrf, '--failed')))}, the peer has "
                       f"learned {len(prefixes & peer.learned_prefixes())}, {seconds:g} s after the cause "
                       "has gone") from None


def routes_of(topology, tenant: str) -> int:
    return next(row["routes"] for row in topology.show("a", "tenants") if row["tenant"] == tenant)


def gone(topology, bird, *lists: str) -> None:
    for name in lists:
        bird.withdraw(name)
    wait_for(lambda: routes_of(topology, "red") < 1000, "withdrawn routes do not go", 60, 0.2)
    wait_for(lambda: not any(row["protocol"] == "bgp" for row in topology.show(
        "a", "routes", "--vrf", "red")), "withdrawn routes do not go", 30, 0.2)


def quota(fresh, bird) -> str:
    """Room for some: the others are refused, get the room of those that go, and all get a larger quota."""
    topology, story = fresh.topology, Story(fresh.lab)
    gone(topology, bird, "many")
    used = len(in_wyectl(topology, "red"))
    story.apply("a", story.edited_manifest("a", "small", lambda text: text.replace(
        "routes: 10000", f"routes: {used + 300}", 1)))
    with bgp.ProbingPeer(fresh.lab) as peer:
        bird.announce("first")
        wait_for(lambda: peer.learned() == 200, "200 routes of 300 are not learned", 20)
        bird.announce("some")
        lists = bird.lists
        wait_for(lambda: peer.learned() == 300, "100 more routes are not learned", 20)
        refused = set(lists["some"]) - peer.learned_prefixes()
        refused_everywhere(topology, "red", peer, refused, "quota")
        bird.withdraw("first")
        wait_for(lambda: len(peer.learned_prefixes() & set(lists["some"])) == 300,
                 "refused routes do not get the room of withdrawn ones", 20, 0.2)
        still = set(lists["some"]) - peer.learned_prefixes()
        refused_everywhere(topology, "red", peer, still, "quota")
        story.apply("a", story.edited_manifest("a", "generous", generous))
        healed(topology, "red", peer, set(lists["some"]))
        learned, arrived = peer.end()
        missing = set(learned["learned"]) - set(arrived)
        if missing:
            raise LabError(f"{len(missing)} probes to learned prefixes did not arrive")
        gone(topology, bird, "some")
        return (f"{len(refused)} of 700 refused; 200 of them installed when 200 others went, the last "
                f"{len(still)} with the quota raised")


def full_table(fresh, bird) -> str:
    """A next hop for each route, and the data plane has no room for so many."""
    lab, topology = fresh.lab, fresh.topology
    lab.shell("a/red", f"ip address add {GATEWAYS}.1/24 dev red-b")
    with bgp.ProbingPeer(lab) as peer:
        bird.announce("left")
        left, right = set(bird.lists["left"]), set(bird.lists["right"])
        wait_for(lambda: set(in_zebra(topology, "red", left).values()) == {"*"},
                 "the first routes are not installed", 20, 0.2)
        bird.announce("right")
        wait_for(lambda: len(in_zebra(topology, "red", right)) == len(right), "zebra gets no more", 20)
        wait_for(lambda: in_wyectl(topology, "red", "--failed"), "the table is not full", 10)
        wait_for(lambda: "q" not in in_zebra(topology, "red", right).values(), "not all answered", 10)
        refused = set(in_wyectl(topology, "red", "--failed"))
        refused_everywhere(topology, "red", peer, refused, "full")
        bird.withdraw("left")
        healed(topology, "red", peer, right)
    gone(topology, bird, "right")
    lab.shell("a/red", f"ip address del {GATEWAYS}.1/24 dev red-b")
    return f"{len(refused)} of {len(left | right)} refused; healed when others went"


def unknown_interface(fresh, bird) -> str:
    """A next hop behind an interface of the VRF that is not wye's, and then behind one that is."""
    lab, topology = fresh.lab, fresh.topology
    with bgp.ProbingPeer(lab) as peer:
        lab.shell("a/red", f"ip link add name other type veth peer name other-end; ip link set other-end up; ip link set other up; "
                           f"ip address add {ELSEWHERE}.1/24 dev other")
        bird.announce("other")
        prefixes = set(bird.lists["other"])
        refused_everywhere(topology, "red", peer, prefixes, "twin")
        lab.shell("a/red", f"ip link del other; ip address add {ELSEWHERE}.1/24 dev red-b")
        healed(topology, "red", peer, prefixes)
        lab.shell("a/red", f"ip address del {ELSEWHERE}.1/24 dev red-b")
        gone(topology, bird, "other")
        return "r by an interface that is no twin, * when the same prefix is on a twin"


def no_tenant(fresh) -> str:
    """BGP in a VRF that no tenant has, beside the kernel's own interface, and then one has it."""
    lab, topology, story = fresh.lab, fresh.topology, Story(fresh.lab)
    lab.shell("a", "ip netns add green; ip -n green link set lo up")
    lab.shell("a", f"""ip -n green link add name kernel type veth peer name green-peer
        ip -n green link set green-peer netns {NAMESPACES}/switch-a.net
        ip -n green address add 10.3.0.1/24 dev kernel; ip -n green link set kernel up""")
    lab.shell("switch-a", """ip address add 10.3.0.10/24 dev green-peer
        ip address add 10.3.0.11/24 dev green-peer
        ip link set green-peer up""")
    lab.shell("switch-a", "ip route add default via 10.3.0.1")
    wait_for(lambda: "green" in topology.vtysh("a", "show vrf"), "zebra does not adopt green", 10)
    topology.configure(
        "a", "router bgp 65001 vrf green", "no bgp ebgp-requires-policy", "bgp suppress-fib-pending",
        "bgp router-id 10.3.0.1", "neighbor 10.3.0.10 remote-as 65020", "neighbor 10.3.0.10 passive",
        f"neighbor 10.3.0.11 remote-as {bgp.FAR_AS}")
    prefixes = {f"198.51.100.{16 * i}/28" for i in range(8)}
    speaker = bgp.Bird(lab, {"green": sorted(prefixes)}, place="switch-a",
                       sessions={4: ("10.3.0.11", "10.3.0.1")})
    with bgp.ProbingPeer(lab, place="switch-a", router="10.3.0.1") as peer:
        wait_for(lambda: bgp.peer_is_up(topology, "green", "10.3.0.10"), "no session in green", 20)
        speaker.await_established()
        speaker.announce("green")
        refused_everywhere(topology, "green", peer, prefixes, "tenant")
        time.sleep(1)
        refused_everywhere(topology, "green", peer, prefixes, "tenant")
        story.apply("a", story.edited_manifest("a", "green", lambda text: generous(text) + GREEN))
        refused_everywhere(topology, "green", peer, prefixes, "twin")
        return "r without a tenant; with one the reason is their interface, which is the kernel's"


with tempfile.TemporaryDirectory(prefix="wye-suppress-") as folder, \
        FreshLab("test-suppress", conf=few_next_hops(Path(folder)), pops=("a",)) as fresh:
    bird = case("bird announces to the PoP", begin, fresh)
    case("without suppression probes are lost", without_suppression, fresh, bird)
    case("no prefix is learned before it is forwarded to", no_earlier_than_forwarded, fresh, bird)
    case("refused: the tenant's quota", quota, fresh, bird)
    case("refused: a full table", full_table, fresh, bird)
    case("refused: an unknown interface", unknown_interface, fresh, bird)
    case("refused: a VRF without a tenant", no_tenant, fresh)
    case("ledger", balanced, fresh.topology, ("a",))
finish()
