#!/usr/bin/python3
"""A BGP session over a VF: bgpd of the router in its kernel VRF device, and another FRR on the far side.
What is learned is forwarded, what is withdrawn is not."""

import time

import guest
from guest import SLOW, LabError, Router, case, finish, ping, sh, wait_for

HERE, THERE = 65001, 65002
PREFIXES = {"ipv4": "10.9.0.0/24", "ipv6": "fd00:9::/64"}
BEHIND = {"ipv4": "10.9.0.1", "ipv6": "fd00:9::1"}  # an address of the peer in each
VRF = "vrf-red"

router = Router()


def session(neighbors: dict[str, str], remote: int) -> list[str]:
    """Lines of `router bgp` for a neighbour in each family."""
    lines = ["no bgp ebgp-requires-policy", "no bgp network import-check"]
    for address in neighbors.values():
        lines += [f"neighbor {address} remote-as {remote}", f"neighbor {address} timers 10 30",
                  f"neighbor {address} timers connect 2",
                  f"neighbor {address} advertisement-interval 0"]
    return lines + ["address-family ipv6 unicast", f"neighbor {neighbors['ipv6']} activate",
                    "exit-address-family"]


class Peer:
    """FRR in red's host, with sockets and files of its own (-N)."""

    def start(self) -> str:
        sh("""
            ip link add name behind type dummy
            ip link set behind up
            ip address add 10.9.0.1/24 dev behind
            ip address add fd00:9::1/64 dev behind""", "red-host")
        sh("""
            mkdir -p /run/frr/peer /etc/frr/peer
            touch /etc/frr/peer/vtysh.conf /etc/frr/peer/frr.conf
            chown -R frr:frr /run/frr /etc/frr""")
        for daemon in ("zebra", "bgpd"):
            router.start(f"peer-{daemon}", "ip", "netns", "exec", "red-host",
                         f"/usr/lib/frr/{daemon}", "-N", "peer", "-P", "0", "--log", "stdout")
            router.await_vty(daemon, "peer")
        self.vtysh("configure terminal", f"router bgp {THERE}",
                   *session({"ipv4": "10.1.0.1", "ipv6": "fd00:1::1"}, HERE))
        return "zebra and bgpd answer"

    def vtysh(self, *lines: str) -> str:
        return router.vtysh(*lines, instance="peer")

    def announce(self, word: str = "") -> None:
        for family, prefix in PREFIXES.items():
            self.vtysh("configure terminal", f"router bgp {THERE}",
                       f"address-family {family} unicast", f"{word} network {prefix}".strip())

    def end(self) -> None:
        router.processes["peer-bgpd"].terminate()
        router.processes["peer-bgpd"].wait(20)


peer = Peer()


def come_up() -> str:
    guest.make_others()
    guest.make_tunnel_ends()
    for prefix, gateway in (("10.9.0.0/24", "10.255.0.1"), ("fd00:9::/64", "fd00:ff::1")):
        sh(f"ip route add {prefix} via {gateway}", "red-far")
    router.take(guest.make_vf())
    router.start_dataplane()
    router.make_vrfs()
    router.start_shim()
    return router.start_frr("bgpd")


def established() -> str:
    router.vtysh("configure terminal", f"router bgp {HERE} vrf {VRF}",
                 *session({"ipv4": "10.1.0.10", "ipv6": "fd00:1::10"}, THERE),
                 "address-family ipv4 unicast", "redistribute connected")
    for address in ("10.1.0.10", "fd00:1::10"):
        wait_for(lambda: "BGP state = Established" in router.vtysh(
            f"show bgp vrf {VRF} neighbors {address}"), f"no session with {address}", SLOW, 1)
    return "one over IPv4, one over IPv6"


def answered(family: str) -> bool:
    return guest.reachable(BEHIND[family], "red-far")


def unknown() -> str:
    for family in PREFIXES:
        if answered(family):
            raise LabError(f"{BEHIND[family]} answers before it was announced")
    return "no answer"


def learned() -> str:
    begun = time.monotonic()
    peer.announce()
    for prefix in PREFIXES.values():
        router.await_route(VRF, prefix)
    took = time.monotonic() - begun
    text = router.vtysh(f"show ip route vrf {VRF} {PREFIXES['ipv4']}")
    if '"bgp"' not in text:
        raise LabError(f"zebra does not know it from BGP: {text}")
    for family, prefix in PREFIXES.items():
        if prefix in sh(f"ip -{family[-1]} route show table all").stdout:
            raise LabError(f"{prefix} is in the kernel")
    pings = "; ".join(ping(BEHIND[family], "red-far", 4) for family in PREFIXES)
    return f"installed in {took:.1f} s; {pings}"


def told() -> str:
    """The way back: what the router announces is learned by the peer."""
    def known() -> bool:
        return "10.255.0.0/30" in peer.vtysh("show bgp ipv4 unicast")
    wait_for(known, "the peer does not hear of 10.255.0.0/30", SLOW, 1)
    return "10.255.0.0/30 is known to the peer"


def gone() -> str:
    for prefix in PREFIXES.values():
        wait_for(lambda: not router.show("routes", "--vrf", VRF, "--prefix", prefix),
                 f"{prefix} is still there", SLOW, 0.5)
    return unknown()


def withdrawn() -> str:
    peer.announce("no")
    return gone()


def peer_ends() -> str:
    peer.end()
    return gone()


guest.require_guest()
try:
    case("the router is up on a VF, with zebra and bgpd", come_up)
    case("another FRR on the far side", peer.start)
    case("sessions come up over the VF", established)
    case("nothing is forwarded before it is announced", unknown)
    case("a prefix learned is forwarded", learned)
    case("the router's own prefix is announced", told)
    case("a prefix withdrawn is not forwarded", withdrawn)
    case("announced again", learned)
    case("not forwarded when the peer has ended", peer_ends)
    case("ledger", router.balanced)
finally:
    router.stop()
    router.tell_logs()
finish()
