"""What the tests in the virtual machine share: a VF for the router, the router itself in this machine's
own network namespace with kernel VRF devices, and Linux as everybody else, on the second NIC.

    red-host  ─ vlan 10 ┐                                   ┌ VF 0 of pf0 (vfio-pci): wye-dataplane
    blue-host ─ vlan 20 ┤ pf1 ──────── wire ──────── pf0 ───┤
    far ─────── untagged┘ (8021q)                           └ wye-shim, FRR, vrf-red, vrf-blue

`far` is the other end of the tunnels: the kernel's vxlan device for red, its geneve device for blue.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests" / "end_to_end"))

from tap import LabError, case, finish, report  # noqa: E402, F401

from labkit import ledger  # noqa: E402
from labkit.story import wait_for  # noqa: E402
from labkit.topology import PROGRAMS  # noqa: E402

RUN = Path("/run/wye/sriov")
RESULTS = Path(os.environ.get("WYE_VM_RESULTS", "/tmp"))
VF_MAC = "52:54:00:77:79:10"
TENANTS = {"red": 10, "blue": 20}  # tenant: VLAN of its host
SLOW = 40.0  # seconds for what takes one on a real machine


def require_guest() -> None:
    if os.environ.get("WYE_VM") != "1":
        print("1..0 # SKIP needs the virtual lab: scripts/vm " + sys.argv[0])
        sys.exit(0)


def sh(script: str, place: str = "", check: bool = True,
       timeout: float = 60) -> subprocess.CompletedProcess:
    """A script of sh, here or in a network namespace."""
    words = ["ip", "netns", "exec", place] if place else []
    done = subprocess.run([*words, "sh", "-ec", script], capture_output=True, text=True,
                          timeout=timeout)
    if check and done.returncode != 0:
        raise LabError(f"{'at ' + place if place else 'here'}: {script.strip()[:200]}: exit "
                       f"{done.returncode}: {(done.stdout + done.stderr).strip()}")
    return done


def ping(address: str, place: str = "", count: int = 2, size: int = 56, vrf: str = "",
         wanted: int | None = None) -> str:
    """Raises unless `wanted` (default: all) of `count` requests are answered."""
    wanted = count if wanted is None else wanted
    prefix = f"ip vrf exec {vrf} " if vrf else ""
    done = sh(f"{prefix}ping -n -c {count} -i 0.2 -W 3 -s {size} {address}", place, check=False)
    got = next((int(line.split(",")[1].split()[0]) for line in done.stdout.splitlines()
                if "packets transmitted" in line), None)
    if got != wanted:
        raise LabError(f"{got} of {count} answers from {address} at {place or vrf}, not {wanted}: "
                       f"{(done.stdout + done.stderr).strip()[-300:]}")
    return f"{got} answers of {count} from {address}, {size} bytes"


def reachable(address: str, place: str) -> bool:
    return sh(f"ping -n -c 1 -W 1 {address}", place, check=False).returncode == 0


def transfer(place: str, address: str, server: str = "", vrf: str = "",
             count: int = 300_000) -> str:
    """`count` bytes over TCP from a place to an address of `server`, and back; raises unless they are
    the same. `vrf`: the server's, where it is this machine."""
    program = str(TOP / "tests" / "virtual" / "transfer.py")
    where = ["ip", "netns", "exec", server] if server else ["ip", "vrf", "exec", vrf]
    listener = subprocess.Popen([*where, program, "serve", "7001"], stdout=subprocess.PIPE, text=True)
    try:
        if listener.stdout.readline() != "ready\n":
            raise LabError(f"nobody listens at {server or vrf}")
        begun = time.monotonic()
        sh(f"{program} send {address} 7001 {count}", place)
        return f"{count} bytes to {address} and back in {time.monotonic() - begun:.1f} s"
    finally:
        listener.kill()
        listener.wait()
        listener.stdout.close()


# -- NICs -----------------------------------------------------------------------------------------

def pci_address(path: str) -> str:
    return Path(path).resolve().name


def make_vf(pf: str = "pf0", mac: str = VF_MAC, driver: str = "vfio-pci") -> str:
    """The only VF of the PF, bound to vfio-pci or to the kernel's igbvf; its PCI address."""
    device = f"/sys/class/net/{pf}/device"
    sh(f"""
        modprobe {driver}
        echo 0 > {device}/sriov_drivers_autoprobe
        echo 1 > {device}/sriov_numvfs
        sysctl -qw net.ipv6.conf.{pf}.disable_ipv6=1
        ip link set {pf} up
        ip link set {pf} vf 0 mac {mac} spoofchk off trust on""")
    address = pci_address(f"{device}/virtfn0")
    bind(address, driver)
    return address


def bind(address: str, driver: str) -> None:
    sh(f"""
        echo {driver} > /sys/bus/pci/devices/{address}/driver_override
        echo {address} > /sys/bus/pci/drivers_probe
        test -e /sys/bus/pci/drivers/{driver}/{address}""")


def carrier_of(interface: str, place: str = "") -> bool:
    return "LOWER_UP" in sh(f"ip -o link show {interface}", place).stdout


class Monitor:
    """QEMU's own, by the virtio port: a line of JSON there and back."""

    def __init__(self) -> None:
        self.port = open(os.environ["WYE_VM_QMP"], "r+b", buffering=0)  # noqa: SIM115
        self.tell("qmp_capabilities")

    def tell(self, command: str, **arguments) -> None:
        words = {"execute": command, "id": command}
        if arguments:
            words["arguments"] = arguments
        self.port.write(json.dumps(words).encode() + b"\n")
        line = b""
        while True:
            byte = self.port.read(1)
            if byte != b"\n":
                line += byte or b""
                continue
            said = json.loads(line)
            line = b""
            if said.get("id") == command:
                if "error" in said:
                    raise LabError(f"QEMU: {said['error']}")
                return

    def cable(self, nic: str, plugged: bool) -> None:
        self.tell("set_link", name=nic, up=plugged)


# -- everybody else ---------------------------------------------------------------------------------

def given_neighbor(address: str, interface: str, options: str = "") -> str:
    """The VF as a neighbour without being asked: QEMU's igb does not hand a VF the multicast that it
    has promiscuous mode for (VMOLR.MPME), so its solicitations are not heard."""
    return f"\nip {options} neighbor add {address} lladdr {VF_MAC} dev {interface} nud permanent"


def no_offloads(interface: str) -> str:
    """QEMU's igb puts a checksum that its driver asks for behind the outer IP header, wherever that says:
    TCP in a tunnel would leave with its own undone (tests/virtual/test_kernel.py shows it)."""
    return f"ethtool -K {interface} tx off tso off gso off gro off"


def make_others() -> None:
    """pf1 as `far`, and the tenants' hosts on VLANs of it."""
    hosts = "\n".join(f"""
        ip netns add {tenant}-host
        ip -n far link add link pf1 name {tenant} type vlan id {vlan}
        ip -n far link set {tenant} netns {tenant}-host name eth0"""
                      for tenant, vlan in TENANTS.items())
    sh(f"""
        ip netns add far
        ip link set pf1 netns far
        ip -n far link set lo up
        ip netns exec far sysctl -qw net.ipv6.conf.default.accept_dad=0
        ip netns exec far {no_offloads('pf1')}
        ip -n far link set pf1 up
        ip -n far address add 192.0.2.2/30 dev pf1
        ip -n far address add 2001:db8:c6::2/64 dev pf1
        {hosts}""" + given_neighbor("2001:db8:c6::1", "pf1", "-n far"))
    for tenant in TENANTS:
        sh("""
            sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.eth0.accept_dad=0
            ip link set lo up
            ip link set eth0 up
            ip address add 10.1.0.10/24 dev eth0
            ip address add fd00:1::10/64 dev eth0
            ip route add default via 10.1.0.1
            ip -6 route add default via fd00:1::1""" + given_neighbor("fd00:1::1", "eth0"),
           f"{tenant}-host")


def make_tunnel_ends() -> None:
    """Each in a namespace of its own below `far`: both tenants have the same addresses."""
    devices = {"red": "vxlan id 100 local 192.0.2.2 remote 192.0.2.1 dstport 4789",
               "blue": "geneve id 200 remote 2001:db8:c6::1 dstport 6081"}
    for tenant, device in devices.items():
        sh(f"""
            ip netns add {tenant}-far
            ip -n far link add name {tenant} type {device}
            ip -n far link set {tenant} netns {tenant}-far name tunnel""")
        sh("""
            sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.tunnel.accept_dad=0
            ip link set lo up
            ip link set tunnel mtu 1400 up
            ip address add 10.255.0.2/30 dev tunnel
            ip address add fd00:ff::2/64 dev tunnel
            ip link add name inside type dummy
            ip link set inside up
            ip address add 10.2.0.10/24 dev inside
            ip address add fd00:2::10/64 dev inside
            ip route add 10.1.0.0/24 via 10.255.0.1
            ip -6 route add fd00:1::/64 via fd00:ff::1""", f"{tenant}-far")


# -- the router -------------------------------------------------------------------------------------

class Router:
    def __init__(self) -> None:
        self.vf = ""  # its PCI address
        self.processes: dict[str, subprocess.Popen] = {}
        RUN.mkdir(parents=True, exist_ok=True)
        for old in RESULTS.glob("*.log"):
            old.unlink()
        (RUN / "manifest.yaml").write_text(MANIFEST)

    def take(self, vf: str) -> None:
        self.vf = vf
        (RUN / "dataplane.yaml").write_text(f"""
instance: sriov
run_dir: {RUN}
workers: [{{core: 1}}]
memory: {{hugepages: required, megabytes: 128}}
ports:
  - {{name: nic, kind: pci, address: "{vf}"}}
""")

    def start(self, name: str, *command: str) -> None:
        log = open(RESULTS / f"{name}.log", "ab")  # noqa: SIM115
        self.processes[name] = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log,
                                                stderr=log, start_new_session=True)

    def log(self, name: str) -> str:
        return (RESULTS / f"{name}.log").read_text(errors="replace")

    def alive(self, name: str) -> None:
        if (code := self.processes[name].poll()) is not None:
            raise LabError(f"{name} ended with {code}: {self.log(name)[-600:]}")

    def start_dataplane(self) -> str:
        before = len(self.log("dataplane")) if (RESULTS / "dataplane.log").exists() else 0
        self.start("dataplane", str(PROGRAMS["wye-dataplane"]), "--config",
                   str(RUN / "dataplane.yaml"))

        def ready() -> bool:
            self.alive("dataplane")
            return ": ready," in self.log("dataplane")[before:]
        wait_for(ready, "the data plane does not come up", SLOW)
        return self.log("dataplane")[before:].strip().splitlines()[-1]

    def make_vrfs(self) -> str:
        sh("".join(f"ip link add vrf-{tenant} type vrf table {vlan}\nip link set vrf-{tenant} up\n"
                   for tenant, vlan in TENANTS.items()))
        return ", ".join(f"vrf-{tenant}" for tenant in TENANTS)

    def start_shim(self, frr: bool = True) -> str:
        zebra = ["--zebra-socket", str(RUN / "zebra.sock")] if frr else []
        self.start("shim", str(PROGRAMS["wye-shim"]), "--instance", "sriov", "--run-dir", str(RUN),
                   *zebra, "--manifest", str(RUN / "manifest.yaml"))
        self.await_status({"data plane": "connected", "manifest": "applied",
                           "policy replay": "done"})
        return "connected, applied"

    def start_frr(self, *daemons: str) -> str:
        """zebra as Debian runs it, VRFs being kernel devices, and these daemons (default: staticd)."""
        daemons = daemons or ("staticd",)
        sh("""
            mkdir -p /run/frr /etc/frr
            mount -t tmpfs -o mode=755 frr /etc/frr
            touch /etc/frr/vtysh.conf /etc/frr/frr.conf
            chown -R frr:frr /run/frr /etc/frr""")
        plugin = f"{PROGRAMS['plugin']}:socket={RUN}/zebra.sock,settle=5"
        self.start("zebra", "/usr/lib/frr/zebra", "-P", "0", "-M", plugin, "--log", "stdout")
        self.await_vty("zebra")
        for daemon in daemons:
            self.start(daemon, f"/usr/lib/frr/{daemon}", "-P", "0", "--log", "stdout")
            self.await_vty(daemon)
        return f"zebra, {', '.join(daemons)} answer"

    def await_vty(self, daemon: str, instance: str = "") -> None:
        """`instance`: of another FRR on this machine (-N)."""
        which, name = (f"-N {instance}", f"{instance}-{daemon}") if instance else ("", daemon)

        def answers() -> bool:
            self.alive(name)
            done = sh(f"vtysh {which} -d {daemon} -c 'show version'", check=False)
            return done.returncode == 0 and "FRRouting" in done.stdout
        wait_for(answers, f"{name} does not answer", SLOW, 0.5)

    def vtysh(self, *lines: str, instance: str = "") -> str:
        which = f"-N {instance} " if instance else ""
        return sh(f"vtysh {which}" + " ".join(f"-c '{line}'" for line in lines)).stdout

    def wyectl(self, *words: str, check: bool = True) -> subprocess.CompletedProcess:
        done = subprocess.run([PROGRAMS["wyectl"], "--socket", RUN / "shim.sock", *words],
                              capture_output=True, text=True)
        if check and done.returncode != 0:
            raise LabError(f"wyectl {' '.join(words)}: {done.stdout}{done.stderr}")
        return done

    def show(self, what: str, *words: str):
        return json.loads(self.wyectl("show", what, "--json", *words).stdout)

    def await_status(self, wanted: dict[str, str]) -> None:
        def as_wanted() -> bool:
            self.alive("shim")
            done = self.wyectl("show", "status", "--json", check=False)
            if done.returncode != 0:
                return False
            rows = {row["item"]: row["state"] for row in json.loads(done.stdout)}
            return all(rows.get(item) == state for item, state in wanted.items())
        wait_for(as_wanted, f"the shim does not say {wanted}: "
                            f"{self.wyectl('show', 'status', check=False).stdout}", SLOW, 0.2)

    def await_route(self, vrf: str, prefix: str) -> None:
        def installed() -> bool:
            rows = self.show("routes", "--vrf", vrf, "--prefix", prefix)
            return any(row["prefix"] == prefix and row["state"] == "installed" for row in rows)
        wait_for(installed, f"{prefix} of {vrf} is not installed", SLOW, 0.2)

    def balanced(self) -> str:
        view = SimpleNamespace(show=lambda _, what, *words: self.show(what, *words))
        if faults := ledger.check(view, ("sriov",), 20):
            raise LabError("; ".join(faults))
        return "balanced"

    def stop(self) -> None:
        for process in reversed(self.processes.values()):
            if process.poll() is None:
                process.terminate()
        for process in self.processes.values():
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()

    def tell_logs(self) -> None:
        for name in self.processes:
            for line in self.log(name).splitlines()[-15:]:
                print(f"# {name}: {line}")


def _tenant(name: str, tunnel: str, inner: str) -> str:
    vlan = TENANTS[name]
    return f"""
  - name: {name}
    vrfs: [{{name: vrf-{name}, vni: {vlan}, device: vrf-{name}}}]
    tunnels: [{tunnel}]
    vports:
      - {{name: {name}-site, vrf: vrf-{name}, port: nic, vlan: {vlan}, mac: "{VF_MAC}",
         addresses: [10.1.0.1/24, "fd00:1::1/64"]}}
      - {{name: {name}-far, vrf: vrf-{name}, tunnel: {name}-tunnel, mac: "{inner}", mtu: 1400,
         addresses: [10.255.0.1/30, "fd00:ff::1/64"]}}
"""


MANIFEST = f"""
apiVersion: wye/v1
underlay:
  vports:
    - {{name: carrier, port: nic, mac: "{VF_MAC}",
       addresses: [192.0.2.1/30, "2001:db8:c6::1/64"]}}
tenants:
""" + _tenant("red", "{name: red-tunnel, kind: vxlan, local: 192.0.2.1, remote: 192.0.2.2, vni: 100}",
              "02:00:00:00:10:ff") \
    + _tenant("blue", "{name: blue-tunnel, kind: geneve, local: '2001:db8:c6::1', "
                      "remote: '2001:db8:c6::2', vni: 200}", "02:00:00:00:20:ff")
