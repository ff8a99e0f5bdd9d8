"""Builds and starts the lab: namespaces, wires, switches, hosts, and each PoP's processes.

    red-host-a ─┐             ┌──────── carrier c4 (IPv4) ────────┐             ┌─ red-host-b
                ├ switch-a ─ wire-a                             wire-b ─ switch-b ┤
    blue-host-a ┘  (VLAN 10, 20) └──────── carrier c6 (IPv6) ────────┘             └─ blue-host-b

`wire-X` holds the kernel ends of PoP X's ports and its wye-dataplane: nothing else listens there,
since a kernel that sees the router's frames must not answer them. The shim, FRR and the twins live
in PoP X's own network namespace, and in its tenants' (`red`, `blue` in its private /run/netns).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

from .places import HERE, NAMESPACES, TOP, Lab, LabError

POPS = ("a", "b")
TENANTS = {"red": 10, "blue": 20}  # tenant: VLAN at its site
CARRIER_MTU = 1600
BFDD_SOCKET = "/run/frr/bfdd_dplane.sock"  # where a bfdd would listen; the lab starts none
OFFLOADS = "tx off sg off tso off gso off gro off"
BUILD = Path(os.environ.get("WYE_BUILD", TOP / "build"))
CONF = TOP / "conf" / "lab"

PROGRAMS = {
    "wye-dataplane": BUILD / "dataplane" / "main" / "wye-dataplane",
    "wye-shim": BUILD / "controlplane-shim" / "main" / "wye-shim",
    "wyectl": BUILD / "controlplane-shim" / "cli" / "wyectl",
    "plugin": BUILD / "wye_dplane.so",
}


def site_number(pop: str) -> int:
    return POPS.index(pop) + 1


class Topology:
    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        # May be changed before up().
        self.conf = CONF
        self.carrier_mtu = CARRIER_MTU
        self.site_mtu = 1500

    # -- wires and hosts ----------------------------------------------------------------------

    def build(self) -> None:
        lab = self.lab
        for pop in POPS:
            for name in (pop, f"wire-{pop}", f"switch-{pop}"):
                lab.make_net(name)
            lab.make_mount(pop)
            self._prepare_pop(pop)
        self._lay_carriers()
        for pop in POPS:
            self._build_site(pop)

    def _prepare_pop(self, pop: str) -> None:
        """A /run/netns and FRR folders of its own, so that zebra adopts this PoP's VRFs alone."""
        vrfs = "\n".join(f"ip netns add {tenant}; ip -n {tenant} link set lo up"
                         for tenant in TENANTS)
        self.lab.shell(pop, f"""
            mkdir -p /run/netns /run/frr /etc/frr
            mount -t tmpfs -o mode=755 wye-lab /run/netns
            mount -t tmpfs -o mode=755 wye-lab /run/frr
            mount -t tmpfs -o mode=755 wye-lab /etc/frr
            chown frr:frr /run/frr /etc/frr
            mkdir -p /run/wye/{pop}
            mount -t sysfs sysfs /sys 2>/dev/null || true
            {vrfs}""")

    def _lay_carriers(self) -> None:
        for carrier in ("c4", "c6"):
            self.lab.shell("wire-a", f"""
                ip link add name {carrier} mtu {self.carrier_mtu} type veth \
                    peer name {carrier}-far mtu {self.carrier_mtu}""")
            # The far end is moved through the lab's own view of the namespace files.
            self.lab.shell("wire-a", f"""
                ip link set {carrier}-far netns {NAMESPACES}/wire-b.net""")
            self.lab.shell("wire-b", f"ip link set {carrier}-far name {carrier}")
        for pop in POPS:
            for carrier in ("c4", "c6"):
                self._quiet_wire(f"wire-{pop}", carrier)

    def _quiet_wire(self, place: str, interface: str) -> None:
        """The kernel end of a port: up, without addresses, without answers of its own."""
        self.lab.shell(place, f"""
            sysctl -qw net.ipv6.conf.{interface}.disable_ipv6=1
            ethtool -K {interface} {OFFLOADS} >/dev/null
            ip link set {interface} arp off up""")

    def _build_site(self, pop: str) -> None:
        n = site_number(pop)
        switch = f"switch-{pop}"
        self.lab.shell(switch, f"""
            sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
            ip link add name br0 mtu {self.site_mtu} type bridge mcast_snooping 0
            ip link set br0 up
            ip link add name trunk mtu {self.site_mtu} type veth \
                peer name access mtu {self.site_mtu}
            ip link set access netns {NAMESPACES}/wire-{pop}.net
            ip link set trunk master br0 up
            ethtool -K trunk {OFFLOADS} >/dev/null""")
        self._quiet_wire(f"wire-{pop}", "access")
        for tenant, vlan in TENANTS.items():
            host = f"{tenant}-host-{pop}"
            self.lab.make_net(host)
            program = self._tag_program(vlan)
            self.lab.shell(switch, f"""
                ip link add name {tenant} mtu {self.site_mtu} type veth \
                    peer name eth0 mtu {self.site_mtu}
                ip link set eth0 netns {NAMESPACES}/{host}.net
                ip link set {tenant} master br0 up
                ethtool -K {tenant} {OFFLOADS} >/dev/null
                tc qdisc add dev {tenant} clsact
                tc filter add dev {tenant} ingress bpf da obj {program} sec tc/push
                tc filter add dev {tenant} egress bpf da obj {program} sec tc/pop""")
            self.lab.shell(host, f"""
                sysctl -qw net.ipv6.conf.eth0.accept_dad=0 net.ipv6.conf.eth0.accept_ra=0
                ethtool -K eth0 {OFFLOADS} >/dev/null
                ip link set eth0 up
                ip address add 10.{n}.0.10/24 dev eth0
                ip address add fd00:{n}::10/64 dev eth0
                ip route add default via 10.{n}.0.1
                ip -6 route add default via fd00:{n}::1""")

    def _tag_program(self, vlan: int) -> Path:
        BUILD.mkdir(parents=True, exist_ok=True)
        source = HERE / "bpf" / "vlan_tag.bpf.c"
        target = BUILD / f"vlan_tag_{vlan}.bpf.o"
        if not target.exists() or target.stat().st_mtime < source.stat().st_mtime:
            subprocess.run(["clang-14", "-O2", "-g", "-target", "bpf", f"-DVLAN={vlan}",
                            "-I/usr/include/x86_64-linux-gnu", "-c", str(source),
                            "-o", str(target)], check=True)
        return target

    # -- processes ------------------------------------------------------------------------------

    def start(self, pop: str, name: str, place: str, *command: str) -> None:
        """Starts a daemon and remembers its pid (inside the lab) under the PoP's run directory."""
        pid_file = f"/run/wye/{pop}/{name}.pid"
        self.lab.spawn(place, "sh", "-c", f'echo $$ > {pid_file}; exec "$@"', name,
                       *command, log=f"{pop}-{name}.log")

    def pid(self, pop: str, name: str) -> int:
        return int(self.lab.run("lab", "cat", f"/run/wye/{pop}/{name}.pid").stdout)

    def kill(self, pop: str, name: str, signal: str = "KILL") -> None:
        """Returns when the process is gone, as a supervisor would wait for it."""
        pid = self.pid(pop, name)
        self.lab.shell("lab", f"kill -{signal} {pid}; while kill -0 {pid} 2>/dev/null; do "
                              "sleep 0.005; done", timeout=20)

    def pause(self, pop: str, name: str) -> None:
        """Stops a daemon where it is, until resume()."""
        os.kill(self.outer_pid(pop, name), signal.SIGSTOP)

    def resume(self, pop: str, name: str) -> None:
        """nsenter stops itself along with what it started, and has to go on with it."""
        outer = self.outer_pid(pop, name)
        os.kill(outer, signal.SIGCONT)
        os.kill(int(Path(f"/proc/{outer}/stat").read_text().rpartition(")")[2].split()[1]),
                signal.SIGCONT)

    def outer_pid(self, pop: str, name: str) -> int:
        """Of a daemon, as it is seen outside the lab."""
        inner, space = str(self.pid(pop, name)), os.readlink(f"/proc/{self.lab.require()}/ns/pid")
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if os.readlink(process / "ns/pid") == space and (process / "status").read_text(
                        ).partition("NSpid:")[2].split("\n")[0].split()[-1] == inner:
                    return int(process.name)
            except OSError:
                continue  # it ended meanwhile
        raise LabError(f"{name} of PoP {pop} does not run")

    def start_dataplane(self, pop: str) -> None:
        self.start(pop, "dataplane", f"wire-{pop}", str(PROGRAMS["wye-dataplane"]),
                   "--config", str(self.conf / pop / "dataplane.yaml"))

    def start_shim(self, pop: str, frr: bool = True) -> None:
        zebra = ["--zebra-socket", f"/run/wye/{pop}/zebra.sock",
                 "--bfdd", f"unix:{BFDD_SOCKET}"] if frr else []
        self.start(pop, "shim", pop, str(PROGRAMS["wye-shim"]), "--instance", pop,
                   "--run-dir", f"/run/wye/{pop}", *zebra,
                   "--manifest", str(self.conf / pop / "manifest.yaml"))

    def start_zebra(self, pop: str) -> None:
        # Daemons of a two-router lab have said all their routes well within 5 seconds.
        plugin = f"{PROGRAMS['plugin']}:socket=/run/wye/{pop}/zebra.sock,settle=5"
        self.start(pop, "zebra", pop, "/usr/lib/frr/zebra", "--vrfwnetns", "-P", "0",
                   "-M", plugin, "--log", "stdout")

    def start_daemon(self, pop: str, daemon: str) -> None:
        self.start(pop, daemon, pop, f"/usr/lib/frr/{daemon}", "-P", "0", "--log", "stdout")

    def start_frr(self, pop: str) -> None:
        """zebra first, then the daemons on it, then the configuration: what is in /etc/frr/frr.conf,
        where `write memory` puts it, or else the lab's own."""
        self.lab.shell(pop, f"""
            touch /etc/frr/vtysh.conf
            test -e /etc/frr/frr.conf || cp {self.conf / pop / "frr.conf"} /etc/frr/frr.conf
            chown frr:frr /etc/frr/*""")
        self.start_zebra(pop)
        self.await_vty(pop, "zebra")
        for daemon in ("staticd", "bgpd"):
            self.start_daemon(pop, daemon)
        for daemon in ("staticd", "bgpd"):
            self.await_vty(pop, daemon)
        self.lab.run(pop, "vtysh", "-b")

    def await_vty(self, pop: str, daemon: str, seconds: float = 15) -> None:
        deadline = time.monotonic() + seconds
        while True:
            done = self.lab.run(pop, "vtysh", "-d", daemon, "-c", "show version", check=False)
            if done.returncode == 0 and "FRRouting" in done.stdout:
                return
            if time.monotonic() > deadline:
                raise LabError(f"{daemon} of PoP {pop} does not answer: see "
                               f"{self.lab.logs}/{pop}-{daemon}.log")
            time.sleep(0.1)

    def up(self, frr: bool = True, pops: tuple[str, ...] = POPS) -> None:
        for program, path in PROGRAMS.items():
            if not path.exists() and (frr or program != "plugin"):
                raise LabError(f"{program} is not built ({path} is missing): run scripts/build")
        self.lab.start_init()
        try:
            self.build()
            for pop in pops:
                self.start_dataplane(pop)
                self.start_shim(pop, frr=frr)
            for pop in pops:
                self.await_ready(pop, routes=not frr)  # the twins are there
            if frr:
                for pop in pops:
                    self.start_frr(pop)
                for pop in pops:
                    self.await_ready(pop)
        except BaseException:
            self.lab.down()
            raise

    def await_ready(self, pop: str, routes: bool = True, seconds: float = 20) -> None:
        """The shim is connected, its manifest is in force, and (`routes`) so are FRR's routes."""
        deadline = time.monotonic() + seconds
        wanted = {"data plane": "connected", "manifest": "applied", "policy replay": "done"}
        if routes:
            wanted["routes replay"] = "done"
        while True:
            status = self.status(pop)
            if all(status.get(item) == state for item, state in wanted.items()):
                return
            if time.monotonic() > deadline:
                raise LabError(f"PoP {pop} does not come up; its status: {status or 'no answer'}; "
                               f"see {self.lab.logs}/{pop}-shim.log and {pop}-dataplane.log")
            time.sleep(0.05)

    # -- questions ------------------------------------------------------------------------------

    def wyectl(self, pop: str, *words: str, check: bool = True) -> subprocess.CompletedProcess:
        return self.lab.run(pop, str(PROGRAMS["wyectl"]), "--socket", f"/run/wye/{pop}/shim.sock",
                            *words, check=check)

    def show(self, pop: str, what: str, *words: str):
        return json.loads(self.wyectl(pop, "show", what, "--json", *words).stdout)

    def status(self, pop: str) -> dict[str, str]:
        """item → state; empty while the shim does not answer."""
        done = self.wyectl(pop, "show", "status", "--json", check=False)
        if done.returncode != 0:
            return {}
        return {row["item"]: row["state"] for row in json.loads(done.stdout)}

    def vtysh(self, pop: str, *lines: str) -> str:
        """Types lines into vtysh, as a person would (each line one -c)."""
        words = [word for line in lines for word in ("-c", line)]
        return self.lab.run(pop, "vtysh", *words).stdout

    def configure(self, pop: str, *lines: str) -> str:
        return self.vtysh(pop, "configure terminal", *lines)
