#!/usr/bin/python3
"""SR-IOV end to end: wye on a VF bound to vfio-pci, kernel VRF devices, FRR, and Linux at every other
end: tagged by 8021q, in tunnels by its vxlan and geneve devices."""

import sys

import guest
from guest import SLOW, TENANTS, LabError, Router, case, finish, ping, sh, wait_for


def take_vf() -> str:
    router.take(guest.make_vf())
    return router.vf


def twins_in_vrfs(router: Router) -> str:
    for tenant in TENANTS:
        members = sh(f"ip -br link show master vrf-{tenant}").stdout
        for twin in (f"{tenant}-site", f"{tenant}-far"):
            if twin not in members:
                raise LabError(f"{twin} is not in vrf-{tenant}: {members}")
    return "four twins"


def settled() -> str:
    wait_for(lambda: "tentative" not in sh("ip -6 address").stdout,
             "an IPv6 address stays tentative", SLOW)
    return "no address is tentative"


def routes_from_frr(router: Router) -> str:
    for tenant in TENANTS:
        router.vtysh("configure terminal", f"vrf vrf-{tenant}", "ip route 10.2.0.0/24 10.255.0.2",
                     "ipv6 route fd00:2::/64 fd00:ff::2")
    for tenant in TENANTS:
        for prefix in ("10.1.0.0/24", "10.2.0.0/24", "fd00:1::/64", "fd00:2::/64"):
            router.await_route(f"vrf-{tenant}", prefix)
    text = router.vtysh("show ip route vrf vrf-red 10.2.0.0/24")
    if "static" not in text:
        raise LabError(f"zebra does not know the route: {text}")
    if "10.2.0.0/24" in sh("ip route show table all").stdout:
        raise LabError("the route is in the kernel")
    return "static routes of two VRFs typed into vtysh: installed, and not in the kernel"


def counted(place: str, interface: str) -> int:
    return int(sh(f"cat /sys/class/net/{interface}/statistics/rx_packets", place).stdout)


def apart() -> str:
    """Red's packets for an address that both tenants have arrive at red's far end alone."""
    before = {tenant: counted(f"{tenant}-far", "tunnel") for tenant in TENANTS}
    ping("10.2.0.10", "red-host", 4)
    came = {tenant: counted(f"{tenant}-far", "tunnel") - before[tenant] for tenant in TENANTS}
    if came["red"] < 4 or came["blue"] > 2:  # a probe of a neighbour may come by
        raise LabError(f"packets that arrived: {came}")
    return f"packets that arrived: {came}"


def tcp_to_router(tenant: str) -> str:
    return guest.transfer(f"{tenant}-host", "10.1.0.1", vrf=f"vrf-{tenant}")


def tcp_through_tunnel(tenant: str, address: str) -> str:
    return guest.transfer(f"{tenant}-host", address, server=f"{tenant}-far")


def moved_vlan(router: Router) -> str:
    """A vport's tag changes while it runs: the VF asks its PF for the new one."""
    manifest = guest.RUN / "manifest.yaml"
    manifest.write_text(guest.MANIFEST.replace("vlan: 10,", "vlan: 30,"))
    router.wyectl("apply", "-f", str(manifest))
    sh("ip link delete eth0", "red-host")
    sh("""ip -n far link add link pf1 name red type vlan id 30
          ip -n far link set red netns red-host name eth0""")
    sh("""ip link set eth0 up
          ip address add 10.1.0.10/24 dev eth0
          ip route add default via 10.1.0.1""", "red-host")
    wait_for(lambda: guest.reachable("10.1.0.1", "red-host"), "no answer on VLAN 30", SLOW)
    return ping("10.2.0.10", "red-host")


guest.require_guest()
case("Linux makes the other ends", lambda: (guest.make_others(), guest.make_tunnel_ends())[0])
router = Router()
try:
    case("a VF is bound to vfio-pci", take_vf)
    case("the data plane takes the VF", router.start_dataplane)
    case("VRF devices", router.make_vrfs)
    case("the shim applies the manifest", router.start_shim)
    case("twins are in their VRF devices", twins_in_vrfs, router)
    case("addresses settle", settled)
    case("FRR comes up", router.start_frr)
    case("routes come from FRR", routes_from_frr, router)
    for tenant in TENANTS:
        host = f"{tenant}-host"
        case(f"{host} pings the router", ping, "10.1.0.1", host)
        case(f"{host} pings the router, IPv6", ping, "fd00:1::1", host)
        case(f"{host} pings through the tunnel", ping, "10.2.0.10", host)
        case(f"{host} pings through the tunnel, IPv6", ping, "fd00:2::10", host)
        case(f"{host} sends what fits the tunnel", ping, "10.2.0.10", host, 2, 1372)
        case(f"{host} speaks TCP with the router", tcp_to_router, tenant)
        case(f"{host} speaks TCP through the tunnel", tcp_through_tunnel, tenant, "10.2.0.10")
        case(f"{host} speaks TCP through the tunnel, IPv6", tcp_through_tunnel, tenant, "fd00:2::10")
        case(f"the router pings from vrf-{tenant}", ping, "10.2.0.10", "", 2, 56, f"vrf-{tenant}")
    case("tenants with the same addresses are apart", apart)
    case("a vport changes its VLAN", moved_vlan, router)
    case("ledger", router.balanced)
    if "--look" in sys.argv:
        print(sh("ip rule; ip route show table all; ip -br address", check=False).stdout)
finally:
    router.stop()
    router.tell_logs()
finish()
