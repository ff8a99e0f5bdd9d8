"""An EVPN fabric: PoPs a and b with wye, c a plain Linux router with FRR, and a route reflector.

    red-host-a, blue-host-a ── wire-a ─┐             ┌─ c ── red-host-c
                                       ├── fabric ───┤
    red-host-b, blue-host-b ── wire-b ─┘   (a LAN)   └─ rr

Everything of EVPN is ordinary Linux and FRR configuration: a vxlan device for each L3VNI, made in the
underlay's namespace and moved into the tenant's, in a bridge whose MAC is the router's.
"""

from __future__ import annotations

from .places import NAMESPACES, Lab
from .topology import OFFLOADS, PROGRAMS, Topology

TENANTS = {"red": 100, "blue": 200}  # tenant: VNI
ROUTERS = {"a": 1, "b": 2, "c": 3}
REFLECTOR = "192.0.2.9"
UNDERLAY_MTU = 1600
TUNNEL_MTU = 1500


def tunnel_end(router: str) -> str:
    return f"192.0.2.{ROUTERS[router]}"


def router_mac(router: str, tenant: str) -> str:
    return f"02:00:00:0{list(TENANTS).index(tenant) + 1}:88:0{ROUTERS[router]}"


def tenants_of(router: str) -> list[str]:
    return ["red"] if router == "c" else list(TENANTS)


class Fabric:
    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.topology = Topology(lab)

    # -- wires ----------------------------------------------------------------------------------

    def build(self) -> None:
        # All before the routers' mount namespaces, which do not see what is bound later.
        hosts = [f"{tenant}-host-{router}" for router in ROUTERS for tenant in tenants_of(router)]
        for name in ("fabric", "a", "b", "wire-a", "wire-b", "c", "rr", *hosts):
            self.lab.make_net(name)
        self.lab.shell("fabric", """
            sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
            ip link add name br0 type bridge mcast_snooping 0
            ip link set br0 up""")
        for router in (*ROUTERS, "rr"):
            self._prepare(router)
        for pop in ("a", "b"):
            self._attach(f"wire-{pop}", "core0", pop)
            self._quiet(f"wire-{pop}", "core0")
            for tenant in TENANTS:
                self._attach_host(f"wire-{pop}", tenant, pop)
                self._quiet(f"wire-{pop}", tenant)
        for name, address in (("c", tunnel_end("c")), ("rr", REFLECTOR)):
            self._attach(name, "core0", name)
            self.lab.shell(name, f"ip address add {address}/24 dev core0; ip link set core0 up")
        self._attach_host("c", "red", "c")
        self.lab.shell("c", f"""
            ip link set red netns red
            ip netns exec red sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
            ip -n red link set red up
            ip -n red address add 10.3.0.1/24 dev red
            ip -n red address add fd00:3::1/64 nodad dev red""")
        for router in ROUTERS:
            for tenant in tenants_of(router):
                self.make_l3vni(router, tenant)

    def _prepare(self, router: str) -> None:
        """A /run/netns and FRR folders of its own, so that zebra adopts this router's VRFs alone."""
        self.lab.make_mount(router)
        vrfs = "\n".join(f"ip netns add {tenant}; ip -n {tenant} link set lo up"
                         for tenant in (tenants_of(router) if router != "rr" else []))
        self.lab.shell(router, f"""
            mkdir -p /run/netns /run/frr /etc/frr /run/wye/{router}
            for folder in /run/netns /run/frr /etc/frr; do
                mount -t tmpfs -o mode=755 wye-lab $folder
            done
            chown frr:frr /run/frr /etc/frr
            mount -t sysfs sysfs /sys 2>/dev/null || true
            {vrfs}""")

    def _attach(self, place: str, interface: str, port: str) -> None:
        self.lab.shell("fabric", f"""
            ip link add name to-{port} mtu {UNDERLAY_MTU} type veth peer name far mtu {UNDERLAY_MTU}
            ip link set to-{port} master br0 up
            ip link set far netns {NAMESPACES}/{place}.net""")
        self.lab.shell(place, f"""
            ip link set far name {interface}
            ethtool -K {interface} {OFFLOADS} >/dev/null""")

    def _attach_host(self, place: str, tenant: str, router: str) -> None:
        host, n = f"{tenant}-host-{router}", ROUTERS[router]
        self.lab.shell(place, f"""
            ip link add name {tenant} type veth peer name far
            ip link set far netns {NAMESPACES}/{host}.net
            ethtool -K {tenant} {OFFLOADS} >/dev/null""")
        self.lab.shell(host, f"""
            ip link set far name eth0
            sysctl -qw net.ipv6.conf.eth0.accept_dad=0 net.ipv6.conf.eth0.accept_ra=0
            ethtool -K eth0 {OFFLOADS} >/dev/null
            ip link set eth0 up
            ip address add 10.{n}.0.10/24 dev eth0
            ip address add fd00:{n}::10/64 dev eth0
            ip route add default via 10.{n}.0.1
            ip -6 route add default via fd00:{n}::1""")

    def _quiet(self, place: str, interface: str) -> None:
        self.lab.shell(place, f"""
            sysctl -qw net.ipv6.conf.{interface}.disable_ipv6=1
            ip link set {interface} arp off up""")

    def make_l3vni(self, router: str, tenant: str) -> None:
        vni = TENANTS[tenant]
        self.lab.shell(router, f"""
            ip link add vx{vni} type vxlan id {vni} local {tunnel_end(router)} dstport 4789 nolearning
            ip link set vx{vni} netns {tenant}
            ip -n {tenant} link show br{vni} >/dev/null 2>&1 || {{
                ip -n {tenant} link add br{vni} type bridge
                ip -n {tenant} link set br{vni} address {router_mac(router, tenant)} addrgenmode none up
            }}
            ip -n {tenant} link set vx{vni} mtu {TUNNEL_MTU} master br{vni} addrgenmode none up""")

    # -- configuration --------------------------------------------------------------------------

    def dataplane_yaml(self, pop: str) -> str:
        ports = "\n".join(f"  - {{name: {name}, kind: af_packet, interface: {name}}}"
                          for name in ("core0", *TENANTS))
        return f"""instance: {pop}
run_dir: /run/wye/{pop}
workers:
  - {{core: {ROUTERS[pop] - 1}}}
idle: adaptive
memory: {{hugepages: never, megabytes: 128}}
ports:
{ports}
"""

    def manifest_yaml(self, pop: str) -> str:
        n = ROUTERS[pop]
        tenants = "\n".join(f"""  - name: {tenant}
    vrfs:
      - {{name: {tenant}, vni: {vni}, netns: {tenant}}}
    vports:
      - name: {tenant}-site
        vrf: {tenant}
        port: {tenant}
        mac: 02:00:00:0{vni // 100}:10:0{n}
        addresses: [10.{n}.0.1/24, "fd00:{n}::1/64"]""" for tenant, vni in TENANTS.items())
        return f"""apiVersion: wye/v1
underlay:
  vports:
    - name: core
      port: core0
      mac: 02:00:00:00:04:0{n}
      mtu: {UNDERLAY_MTU}
      addresses: [{tunnel_end(pop)}/24]
tenants:
{tenants}
"""

    def frr_conf(self, router: str) -> str:
        bgp = f"""router bgp 65000
 bgp router-id {tunnel_end(router)}
 no bgp default ipv4-unicast
 bgp graceful-restart
 bgp graceful-restart preserve-fw-state
 neighbor {REFLECTOR} remote-as 65000
 neighbor {REFLECTOR} timers 1 3
 neighbor {REFLECTOR} timers connect 1
 address-family l2vpn evpn
  neighbor {REFLECTOR} activate
  advertise-all-vni
 exit-address-family
exit
"""
        vrfs = "".join(f"""vrf {tenant}
 vni {TENANTS[tenant]}
exit-vrf
router bgp 65000 vrf {tenant}
 bgp router-id {tunnel_end(router)}
 address-family ipv4 unicast
  maximum-paths ibgp 4
  redistribute connected
  redistribute static
 exit-address-family
 address-family ipv6 unicast
  maximum-paths ibgp 4
  redistribute connected
 exit-address-family
 address-family l2vpn evpn
  advertise ipv4 unicast
  advertise ipv6 unicast
 exit-address-family
exit
""" for tenant in tenants_of(router))
        return f"hostname {router}\n{bgp}{vrfs}"

    @staticmethod
    def reflector_conf() -> str:
        clients = "".join(f""" neighbor {tunnel_end(router)} remote-as 65000
 neighbor {tunnel_end(router)} timers 1 3
 neighbor {tunnel_end(router)} passive
""" for router in ROUTERS)
        families = "".join(f"""  neighbor {tunnel_end(router)} activate
  neighbor {tunnel_end(router)} route-reflector-client
""" for router in ROUTERS)
        return f"""hostname rr
router bgp 65000
 bgp router-id {REFLECTOR}
 no bgp default ipv4-unicast
{clients} address-family l2vpn evpn
{families} exit-address-family
exit
"""

    def write(self, place: str, path: str, text: str) -> str:
        self.lab.run(place, "sh", "-c", f"cat > {path}", input=text)
        return path

    # -- processes --------------------------------------------------------------------------------

    def start_wye(self, pop: str) -> None:
        config = self.write(pop, f"/run/wye/{pop}/dataplane.yaml", self.dataplane_yaml(pop))
        self.write(pop, f"/run/wye/{pop}/manifest.yaml", self.manifest_yaml(pop))
        self.topology.start(pop, "dataplane", f"wire-{pop}", str(PROGRAMS["wye-dataplane"]),
                            "--config", config)
        self.start_shim(pop)

    def start_shim(self, pop: str) -> None:
        self.topology.start(pop, "shim", pop, str(PROGRAMS["wye-shim"]), "--instance", pop,
                            "--run-dir", f"/run/wye/{pop}",
                            "--zebra-socket", f"/run/wye/{pop}/zebra.sock",
                            "--manifest", f"/run/wye/{pop}/manifest.yaml")

    def start_frr(self, router: str, text: str) -> None:
        topology = self.topology
        self.write(router, "/etc/frr/frr.conf", text)
        self.lab.shell(router, "touch /etc/frr/vtysh.conf; chown frr:frr /etc/frr/*")
        if router in ("a", "b"):
            topology.start_zebra(router)
        else:
            topology.start(router, "zebra", router, "/usr/lib/frr/zebra", "--vrfwnetns", "-P", "0",
                           "--log", "stdout")
        topology.await_vty(router, "zebra")
        for daemon in ("staticd", "bgpd"):
            topology.start_daemon(router, daemon)
            topology.await_vty(router, daemon)
        self.lab.run(router, "vtysh", "-b")

    def up(self) -> None:
        self.lab.start_init()
        try:
            self.build()
            for pop in ("a", "b"):
                self.start_wye(pop)
            self.start_frr("rr", self.reflector_conf())
            for pop in ("a", "b"):
                self.topology.await_ready(pop, routes=False)
            for router in ROUTERS:
                self.start_frr(router, self.frr_conf(router))
            for pop in ("a", "b"):
                self.topology.await_ready(pop)
        except BaseException:
            self.lab.down()
            raise
