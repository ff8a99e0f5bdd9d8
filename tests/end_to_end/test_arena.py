#!/usr/bin/python3
"""What wye-arena reads out of a running data plane's tables, and that two crashes change none of it."""

import ipaddress
import json
import time

from tap import FreshLab, case, finish

from labkit.places import LabError
from labkit.story import expect
from labkit.topology import BUILD

POP = "a"
RUN_DIR = f"/run/wye/{POP}"
ARENA = str(BUILD / "dataplane" / "tools" / "wye-arena")


def arena(topology, *words, check=True):
    return topology.lab.run(POP, ARENA, "--run-dir", RUN_DIR, "--json", *words, check=check)


def ask(topology, *words):
    return json.loads(arena(topology, *words).stdout)


def longest_match(table, address):
    """Of (network → words): the words of the longest match; None without one."""
    best = max((n for n in table if address in n), key=lambda n: n.prefixlen, default=None)
    return table[best] if best is not None else None


def words_of_shim(rows):
    table = {}
    for row in rows:
        hop = row["nexthop"]
        kind = {"direct": "connected"}.get(hop, "adjacency" if hop[0].isdigit() or ":" in hop else hop)
        words = (kind, hop if kind == "adjacency" else None, row["vport"] or None)
        table.setdefault(ipaddress.ip_network(row["prefix"]), set()).add(words)
    return table


def words_of_arena(rows):
    return {ipaddress.ip_network(row["prefix"]):
            {(hop["kind"], hop.get("via"), hop.get("vport")) for hop in row["nexthops"]}
            for row in rows if not row["neighbor"]}


def same_routes(topology, vrf):
    """Both tables send the borders of every prefix of either to the same place."""
    shim = words_of_shim(topology.show(POP, "routes", "--vrf", vrf))
    installed = words_of_arena(ask(topology, "routes", vrf))
    expect(shim, f"wyectl shows no routes in {vrf}")
    for version in (4, 6):
        one, two = ({n: w for n, w in t.items() if n.version == version} for t in (shim, installed))
        top = (1 << (32 if version == 4 else 128)) - 1
        make = ipaddress.IPv4Address if version == 4 else ipaddress.IPv6Address
        for network in one | two:
            first, last = int(network[0]), int(network[-1])
            for number in {first, last, max(first - 1, 0), min(last + 1, top)}:
                a, b = (longest_match(t, make(number)) for t in (one, two))
                expect(a == b, f"{make(number)} in {vrf}: wyectl {a}, wye-arena {b}")
    return f"{vrf}: {len(shim)} routes of the shim, {len(installed)} prefixes in the arena"


def lookups(topology):
    for address in ("10.1.0.1", "10.1.0.77", "fd00:1::1", "192.0.2.1"):
        found = ask(topology, "lookup", "red", address)["nexthops"]
        table = words_of_arena(ask(topology, "routes", "red"))
        wanted = longest_match(table, ipaddress.ip_address(address))
        got = {(h["kind"], h.get("via"), h.get("vport")) for h in found} or None
        expect(got == wanted, f"lookup of {address}: {got}, routes say {wanted}")


def sound(topology):
    return str(ask(topology, "check"))


def summary(topology):
    told = ask(topology, "summary")
    expect({row["vrf"] for row in told["vrfs"]} >= {"red", "blue"}, f"VRFs are missing: {told}")
    expect(told["state"] == "committed" and told["forwarding"], f"not in force: {told}")
    return f"epoch {told['epoch']}, {told['records']}"


def digest_when(topology, wanted, seconds=20):
    deadline = time.monotonic() + seconds
    while True:
        done = arena(topology, "digest", check=False)
        got = json.loads(done.stdout) if done.returncode == 0 else done.stderr
        if got == wanted:
            return got
        if time.monotonic() > deadline:
            raise LabError(f"digest {got}, before it was {wanted}")
        time.sleep(0.1)


def after_shim_restart(topology, before):
    topology.kill(POP, "shim")
    digest_when(topology, before)
    topology.start_shim(POP, frr=False)
    topology.await_ready(POP)
    digest_when(topology, before)


def after_dataplane_restart(topology, before):
    instance = ask(topology, "summary")["instance"]
    topology.kill(POP, "dataplane")
    left = topology.lab.shell(POP, f"ls {RUN_DIR}/arena-*").stdout.split()
    done = topology.lab.run(POP, ARENA, "--file", left[-1], "--json", "digest")
    expect(json.loads(done.stdout) == before, "what the dead process left has another digest")
    done = arena(topology, "summary", check=False)
    expect(done.returncode == 3 and "answers" in done.stderr, f"a dead one answers: {done}")
    topology.start_dataplane(POP)
    topology.await_ready(POP)
    digest_when(topology, before)
    expect(ask(topology, "summary")["instance"] != instance, "the arena is still the old one")


def refused(topology):
    done = arena(topology, "routes", "purple", check=False)
    expect(done.returncode == 1 and "purple" in done.stderr, f"no refusal: {done}")
    done = arena(topology, check=False)
    expect(done.returncode == 2, f"wrong usage ends with {done.returncode}")


with FreshLab("test-arena", pops=(POP,), frr=False) as fresh:
    topology = fresh.topology
    case("summary", summary, topology)
    for vrf in ("red", "blue"):
        case(f"routes of {vrf} are those that wyectl shows", same_routes, topology, vrf)
    case("lookup agrees with routes", lookups, topology)
    case("everything leads to something", sound, topology)
    case("what is not there is refused", refused, topology)
    before = ask(topology, "digest")
    case("the digest survives a killed shim", after_shim_restart, topology, before)
    case("the digest survives a killed data plane", after_dataplane_restart, topology, before)
    case("everything still leads to something", sound, topology)
finish()
