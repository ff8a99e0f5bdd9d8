#!/usr/bin/python3
"""Packets of 9 000 bytes through VXLAN (over IPv4) and GENEVE (over IPv6) between Linux hosts at two PoPs,
and through VXLAN to Linux's own vxlan device. What travels is judged by its content, by the hosts' own
checksums, and by tshark."""

import json
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from tap import FreshLab, LabError, balanced, case, finish

from labkit.story import wait_for
from labkit.topology import CONF, POPS
from labkit.traffic import end_child, host, host_address, other, ping

MTU, CARRIER_MTU = 9000, 9216
FAR = "wire-b"
FRAMES = 20  # that tshark judges
FIELDS = ("frame.len", "ip.len", "ipv6.plen", "udp.dstport", "vxlan.vni", "geneve.vni",
          "ip.checksum.status", "udp.checksum.status")

TAKE = """
import hashlib, json, socket, sys
server = socket.create_server((sys.argv[1], 7100), family=int(sys.argv[2]))
print("ready", flush=True)
connection = server.accept()[0]
digest, total = hashlib.sha256(), 0
while data := connection.recv(1 << 20):
    digest.update(data)
    total += len(data)
print(json.dumps({"bytes": total, "sha256": digest.hexdigest()}), flush=True)
"""
GIVE = """
import hashlib, json, random, socket, sys
data = random.Random(9000).randbytes(int(sys.argv[2]))
tcp = socket.create_connection((sys.argv[1], 7100), timeout=20)
tcp.sendall(data)
segment = tcp.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG)
tcp.close()
print(json.dumps({"segment": segment, "sha256": hashlib.sha256(data).hexdigest()}), flush=True)
"""


def write_configuration(folder: Path) -> None:
    """The lab's own, with room for 9 000 bytes."""
    shutil.copytree(CONF, folder, dirs_exist_ok=True)
    for pop in POPS:
        manifest = folder / pop / "manifest.yaml"
        manifest.write_text(manifest.read_text().replace("mtu: 1600", f"mtu: {CARRIER_MTU}")
                            .replace("mtu: 1500", f"mtu: {MTU}"))
        dataplane = folder / pop / "dataplane.yaml"
        dataplane.write_text(dataplane.read_text().replace("megabytes: 128", "megabytes: 160"))


def jumbo_lab(name: str, folder: Path, **options) -> FreshLab:
    fresh = FreshLab(name, **options)
    fresh.topology.conf, fresh.topology.site_mtu = folder, MTU
    fresh.topology.carrier_mtu = CARRIER_MTU
    return fresh


def routes(fresh) -> str:
    """Blue's come by BGP."""
    for pop, n in (("a", 2), ("b", 1)):
        peer = n if pop == "a" else 1
        fresh.topology.configure(pop, "vrf red", f"ip route 10.{n}.0.0/24 10.255.0.{peer}",
                                 f"ipv6 route fd00:{n}::/64 fd00:ff::{peer}")
    for tenant in ("red", "blue"):
        for family in (4, 6):
            wait_for(lambda t=tenant, f=family: ping(fresh.lab, host(t, "a"), host_address("b", f), 1)
                     == 1, f"{tenant} does not reach its other site by IPv{family}", 30)
    return "both tenants, both families"


def answered(lab, place: str, address: str, size: int) -> str:
    """Of the whole MTU, and not to be fragmented."""
    done = lab.run(place, "ping", "-n", "-M", "do", "-c", "5", "-i", "0.05", "-W", "2", "-s",
                   str(size), address, check=False)
    if " 5 received" not in done.stdout:
        raise LabError(done.stdout + done.stderr)
    return f"5 answers, {size} bytes in each"


def pings(fresh, tenant: str, pop: str) -> str:
    target = other(pop)
    return "; ".join(answered(fresh.lab, host(tenant, pop), host_address(target, family), MTU - headers)
                     for family, headers in ((4, 28), (6, 48)))


def content(lab, giver: str, taker: str, address: str, megabytes: int = 16) -> str:
    """Over TCP, in segments as long as the MTU lets them be."""
    family = "10" if ":" in address else "2"
    server = lab.spawn(taker, "/usr/bin/python3", "-c", TAKE, address, family, stdout=subprocess.PIPE,
                       text=True)
    try:
        if server.stdout.readline().strip() != "ready":
            raise LabError("nobody takes")
        given = json.loads(lab.run(giver, "/usr/bin/python3", "-c", GIVE, address,
                                   str(megabytes << 20), timeout=40).stdout)
        taken = json.loads(server.communicate(timeout=20)[0])
    finally:
        if server.poll() is None:
            end_child(server)
    if taken["sha256"] != given["sha256"] or taken["bytes"] != megabytes << 20:
        raise LabError(f"given {given}, taken {taken}")
    if given["segment"] < MTU - 80:
        raise LabError(f"segments have only {given['segment']} bytes")
    return f"{megabytes} MiB unharmed, in segments of {given['segment']} bytes"


def on_the_wire(fresh, place: str, interface: str, vni_field: str, vni: str, overhead: int,
                traffic) -> str:
    """What tshark makes of the carrier's frames meanwhile."""
    path = Path(tempfile.gettempdir()) / f"wye-jumbo-{interface}.pcap"
    tshark = fresh.lab.spawn(place, "tshark", "-i", interface, "-f", f"greater {MTU}", "-c", str(FRAMES),
                             "-w", str(path), "-q", stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                             text=True)
    end = time.monotonic() + 20
    while tshark.poll() is None and time.monotonic() < end:  # it says too early that it captures
        traffic()
    if tshark.poll() is None:
        end_child(tshark)
    tshark.communicate(timeout=10)
    checks = ["-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE"]
    words = [word for field in FIELDS for word in ("-e", field)]
    read = fresh.lab.run("lab", "tshark", "-r", str(path), *checks, "-T", "fields", "-E", "occurrence=a",
                         *words, timeout=60)
    bad = fresh.lab.run("lab", "tshark", "-r", str(path), *checks, "-Y",
                        "ip.checksum.status == 0 || icmp.checksum.status == 0 || "
                        "udp.checksum.status == 0 || _ws.malformed", timeout=60).stdout
    path.unlink()
    rows = [dict(zip(FIELDS, line.split("\t"))) for line in read.stdout.splitlines()]
    longest = [row for row in rows if int(row["frame.len"]) == MTU + overhead and row[vni_field] == vni]
    if bad.strip():
        raise LabError(f"tshark finds faults: {bad[:1500]}")
    if len(longest) != FRAMES:
        raise LabError(f"{len(longest)} frames of {MTU + overhead} bytes of {len(rows)}: {rows[:3]}")
    return f"{len(longest)} frames of {MTU + overhead} bytes, VNI {vni}"


def make_far_end(lab) -> str:
    lab.shell(FAR, f"""
        sysctl -qw net.ipv6.conf.c4.disable_ipv6=0
        ip link set c4 arp on address 02:00:00:02:04:01
        ip address add 192.0.2.2/30 dev c4
        ip link add name far type vxlan id 100 local 192.0.2.2 remote 192.0.2.1 dstport 4789
        sysctl -qw net.ipv6.conf.far.accept_dad=0
        ethtool -K far tx off sg off tso off gso off gro off >/dev/null
        ip link set far mtu {MTU} up
        ip address add 10.255.0.2/30 dev far
        ip route add 10.1.0.0/24 via 10.255.0.1""")
    wait_for(lambda: ping(lab, FAR, "10.1.0.10", 1) == 1, "Linux does not reach the host", 15)
    return "vxlan id 100"


def between_pops(folder: Path) -> None:
    with jumbo_lab("test-jumbo", folder) as fresh:
        case("routes", routes, fresh)
        for tenant, kind in (("red", "VXLAN"), ("blue", "GENEVE")):
            for pop in POPS:
                case(f"{kind}, from {pop}: pings of {MTU} bytes", pings, fresh, tenant, pop)
            for family in (4, 6):
                case(f"{kind}: TCP over IPv{family}", content, fresh.lab, host(tenant, "a"),
                     host(tenant, "b"), host_address("b", family))
        case("VXLAN as tshark reads it", on_the_wire, fresh, "wire-b", "c4", "vxlan.vni", "100",
             14 + 20 + 8 + 8 + 14, lambda: pings(fresh, "red", "a"))
        case("GENEVE as tshark reads it", on_the_wire, fresh, "wire-b", "c6", "geneve.vni", "0x0000c8",
             14 + 40 + 8 + 8 + 14, lambda: pings(fresh, "blue", "a"))
        case("ledger", balanced, fresh.topology)


def to_linux(folder: Path) -> None:
    with jumbo_lab("test-jumbo", folder, pops=("a",), frr=False) as fresh:
        lab = fresh.lab
        case("Linux makes its end", make_far_end, lab)
        case("Linux's vxlan device: pings", answered, lab, FAR, "10.1.0.10", MTU - 28)
        case("Linux's vxlan device: TCP to the host", content, lab, FAR, "red-host-a", "10.1.0.10")
        case("Linux's vxlan device: TCP from the host", content, lab, "red-host-a", FAR, "10.255.0.2")
        case("ledger of one PoP", balanced, fresh.topology, ("a",))


with tempfile.TemporaryDirectory(prefix="wye-jumbo-") as temporary:
    write_configuration(Path(temporary))
    between_pops(Path(temporary))
    to_linux(Path(temporary))
finish()
