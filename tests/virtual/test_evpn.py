#!/usr/bin/python3
"""EVPN type 5 with kernel VRF devices, over a VF: the router's tenants are VRF devices, and so is the far
end's, which is plain Linux and FRR."""

import guest
from guest import SLOW, TENANTS, LabError, Router, case, finish, ping, sh, wait_for

AS = 65000
VNI = TENANTS["red"]  # as the manifest has it
PREFIXES = {"10.7.0.0/24": "10.7.0.1", "fd00:7::/64": "fd00:7::1"}
TUNNEL = f"evpn.{VNI}.192.0.2.2"

router = Router()


def l3vni(local: str, mac: str) -> str:
    """Of vrf-red: a vxlan device in a bridge that belongs to the VRF."""
    return f"""
        ip link add name vx{VNI} type vxlan id {VNI} local {local} dstport 4789 nolearning
        ip link add name br{VNI} type bridge
        ip link set br{VNI} address {mac} addrgenmode none
        ip link set br{VNI} master vrf-red
        ip link set vx{VNI} mtu 1400 master br{VNI} addrgenmode none up
        ip link set br{VNI} up"""


def bgp(neighbor: str) -> list[str]:
    return ["configure terminal", "vrf vrf-red", f"vni {VNI}", "exit-vrf",
            f"router bgp {AS}", "no bgp default ipv4-unicast",
            f"neighbor {neighbor} remote-as {AS}", f"neighbor {neighbor} timers 5 15",
            f"neighbor {neighbor} timers connect 2",
            "address-family l2vpn evpn", f"neighbor {neighbor} activate", "advertise-all-vni",
            "exit-address-family", "exit", f"router bgp {AS} vrf vrf-red",
            "address-family ipv4 unicast", "redistribute connected", "exit-address-family",
            "address-family ipv6 unicast", "redistribute connected", "exit-address-family",
            "address-family l2vpn evpn", "advertise ipv4 unicast", "advertise ipv6 unicast"]


def come_up() -> str:
    guest.make_others()
    router.take(guest.make_vf())
    router.start_dataplane()
    router.make_vrfs()
    router.start_shim()
    said = router.start_frr("bgpd")
    sh(l3vni("192.0.2.1", "02:00:00:00:88:01"))
    return said


def far_end() -> str:
    """In `far`, with sockets and files of its own (-N)."""
    sh("""
        sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
        ip link add vrf-red type vrf table 10
        ip link set vrf-red up
        ip link add name inside type dummy
        ip link set inside master vrf-red up
        ip address add 10.7.0.1/24 dev inside
        ip address add fd00:7::1/64 dev inside""" + l3vni("192.0.2.2", "02:00:00:00:88:02"), "far")
    sh("""
        mkdir -p /run/frr/far /etc/frr/far
        touch /etc/frr/far/vtysh.conf /etc/frr/far/frr.conf
        chown -R frr:frr /run/frr /etc/frr""")
    for daemon in ("zebra", "bgpd"):
        router.start(f"far-{daemon}", "ip", "netns", "exec", "far", f"/usr/lib/frr/{daemon}",
                     "-N", "far", "-P", "0", "--log", "stdout")
        router.await_vty(daemon, "far")
    router.vtysh(*bgp("192.0.2.1"), instance="far")
    router.vtysh(*bgp("192.0.2.2"))
    return "zebra and bgpd answer"


def learned() -> str:
    for prefix in PREFIXES:
        router.await_route("vrf-red", prefix)
        vports = {row.get("vport") for row in router.show("routes", "--vrf", "vrf-red",
                                                          "--prefix", prefix)}
        if vports != {TUNNEL}:
            raise LabError(f"{prefix} goes by {vports}")
    return f"{', '.join(PREFIXES)} by {TUNNEL}"


def told() -> str:
    for prefix in ("10.1.0.0/24", "fd00:1::/64"):
        family = 6 if ":" in prefix else 4
        wait_for(lambda: prefix in sh(f"ip -{family} route show vrf vrf-red", "far").stdout,
                 f"the far end has no {prefix}", SLOW, 0.5)
    return "the far end has the router's prefixes"


def blue_apart() -> str:
    if guest.reachable("10.7.0.1", "blue-host"):
        raise LabError("blue reaches red's prefix")
    return "no answer"


def withdrawn() -> str:
    sh("ip link delete inside", "far")
    for prefix in PREFIXES:
        wait_for(lambda: not router.show("routes", "--vrf", "vrf-red", "--prefix", prefix),
                 f"{prefix} is still there", SLOW, 0.5)
    return "gone"


guest.require_guest()
try:
    case("the router is up on a VF, with an L3VNI in vrf-red", come_up)
    case("Linux and FRR at the far end", far_end)
    case("its prefixes make a tunnel", learned)
    case("it learns the router's", told)
    for address in PREFIXES.values():
        case(f"red-host reaches {address}", ping, address, "red-host", 4)
    case("what fits the tunnel", ping, "10.7.0.1", "red-host", 2, 1372)
    case("blue-host does not", blue_apart)
    case("withdrawn", withdrawn)
    case("ledger", router.balanced)
finally:
    router.stop()
    router.tell_logs()
finish()
