#!/usr/bin/python3
"""AF_XDP ports: tunnels go through the router while the kernel keeps the rest of the same interface.

    red-host-a ── switch-a ── access ─┐                     ┌─ far: the kernel's own vxlan device
                              wye-dataplane ─ c4 ═══════ c4 ┤
    198.51.100.1, the kernel of wire-a ────────┘            └─ 198.51.100.2: speaks to that kernel

What the kernel keeps is numbered, and none of it may be missing while the router starts, stops, is
killed and starts again."""

import json
import subprocess
import time
from pathlib import Path

from tap import FreshLab, LabError, balanced, case, finish

from labkit.places import NAMESPACES
from labkit.story import wait_for
from labkit.topology import BUILD, CONF, OFFLOADS, PROGRAMS
from labkit.traffic import ping

FAR = "wire-b"
KERNEL, KERNEL_FAR = "198.51.100.1", "198.51.100.2"
CONFIG = "/run/wye/a/dataplane.yaml"

# Numbers over UDP, one a millisecond, and over TCP as fast as a quiet stream goes.
LISTEN = """
import json, socket, sys, threading
address = sys.argv[1]
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
udp.bind((address, 7000))
server = socket.create_server((address, 7000))
print("ready", flush=True)
result = {"bytes": 0, "broken": 0}
def stream():
    connection = server.accept()[0]
    expected = 0
    while data := connection.recv(65536):
        wrong = any(byte != (expected + i) % 251 for i, byte in enumerate(data))
        result["broken"] += wrong
        expected = (expected + len(data)) % 251
        result["bytes"] += len(data)
thread = threading.Thread(target=stream)
thread.start()
seen = set()
while (number := int.from_bytes(udp.recv(64), "big")) != 0:
    seen.add(number)
thread.join()
print(json.dumps({"datagrams": len(seen), **result}), flush=True)
"""
SPEAK = """
import json, select, socket, struct, sys, time
address = sys.argv[1]
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
tcp = socket.create_connection((address, 7000))
print("ready", flush=True)
pattern = bytes(range(251)) * 8
number = total = 0
due = time.monotonic()
while not select.select([sys.stdin], [], [], max(0, due - time.monotonic()))[0]:
    number += 1
    due += 0.001
    udp.sendto(number.to_bytes(8, "big"), (address, 7000))
    if number % 5 == 0:
        tcp.sendall(pattern)
        total += len(pattern)
again = struct.unpack_from("I", tcp.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104), 100)[0]
tcp.close()
time.sleep(0.2)
for _ in range(5):
    udp.sendto(bytes(8), (address, 7000))
print(json.dumps({"datagrams": number, "bytes": total, "again": again}), flush=True)
"""
ECHO = """
import socket
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(("", 7001))
while True:
    data, sender = udp.recvfrom(2048)
    udp.sendto(data, sender)
"""
ASK = """
import socket, sys
answers = 0
for port in range(20000, 20000 + int(sys.argv[2])):
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("", port))
    udp.settimeout(1)
    udp.sendto(b"x" * 100, (sys.argv[1], 7001))
    try:
        answers += len(udp.recv(2048)) == 100
    except TimeoutError:
        pass
print(answers)
"""
FOREIGN = """
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
SEC("xdp") int someone_else(struct xdp_md* frame) { return XDP_PASS; }
"""


class Stream:
    """What the kernel of wire-a has with the far end, on the router's own interface."""

    def __init__(self, lab) -> None:
        self.lab = lab
        self.listener = self._spawn("wire-a", LISTEN)
        self.speaker = self._spawn(FAR, SPEAK, stdin=subprocess.PIPE)

    def _spawn(self, place: str, program: str, **options):
        process = self.lab.spawn(place, "/usr/bin/python3", "-c", program, KERNEL,
                                 stdout=subprocess.PIPE, text=True, **options)
        if process.stdout.readline().strip() != "ready":
            raise LabError(f"no stream at {place}")
        return process

    def end(self) -> str:
        sent = json.loads(self.speaker.communicate("", timeout=20)[0])
        got = json.loads(self.listener.communicate(timeout=20)[0])
        lost = sent["datagrams"] - got["datagrams"]
        text = (f"{lost} of {sent['datagrams']} datagrams lost, {got['bytes']} of {sent['bytes']} bytes "
                f"over TCP, {got['broken']} broken pieces, {sent['again']} segments sent again")
        # A machine that is busy makes TCP send again what was not lost: datagrams are the judges.
        if lost or got["bytes"] != sent["bytes"] or got["broken"]:
            raise LabError(text)
        return text


class Site:
    """The lab without its PoPs: PoP a's data plane is started here, with configurations of our own."""

    def __init__(self, fresh) -> None:
        self.lab, self.topology = fresh.lab, fresh.topology

    def lay(self) -> str:
        """Both wires of the router again, with two queues; addresses at both ends of c4."""
        self.lab.shell("wire-a", f"""
            ip link delete c4
            ip link delete access
            ip link add c4 mtu 1600 numrxqueues 2 numtxqueues 2 type veth \
                peer name c4-far mtu 1600 numrxqueues 2 numtxqueues 2
            ip link set c4-far netns {NAMESPACES}/wire-b.net
            ip link add access numrxqueues 2 numtxqueues 2 type veth \
                peer name trunk numrxqueues 2 numtxqueues 2
            ip link set trunk netns {NAMESPACES}/switch-a.net
            for interface in c4 access; do
                sysctl -qw net.ipv6.conf.$interface.disable_ipv6=1
                ethtool -K $interface {OFFLOADS} >/dev/null
                ip link set $interface up
            done
            ip link set access arp off
            ip address add {KERNEL}/24 dev c4""")
        # Tags in the bytes: an XDP program does not see those that stand beside them.
        self.lab.shell("switch-a", f"""
            ip link set trunk master br0 up
            ethtool -K trunk {OFFLOADS} txvlan off >/dev/null""")
        self.lab.shell(FAR, f"""
            ip link set c4-far name c4
            ethtool -K c4 {OFFLOADS} >/dev/null
            ip link set c4 address 02:00:00:02:04:01 up
            ip address add {KERNEL_FAR}/24 dev c4
            ip address add 192.0.2.2/30 dev c4
            ip neighbour replace 192.0.2.1 lladdr 02:00:00:01:04:01 nud permanent dev c4
            ip link add name far type vxlan id 100 local 192.0.2.2 remote 192.0.2.1 dstport 4789
            ip link set far mtu 1500 up
            ip address add 10.255.0.2/30 dev far
            ip route add 10.1.0.0/24 via 10.255.0.1""")
        self.lab.spawn("red-host-a", "/usr/bin/python3", "-c", ECHO)
        # ARP for the untagged underlay is the kernel's, so the router is told its neighbour.
        text = (CONF / "a" / "manifest.yaml").read_text().replace(
            "      addresses: [192.0.2.1/30]\n",
            "      addresses: [192.0.2.1/30]\n"
            "      neighbors: [{address: 192.0.2.2, mac: 02:00:00:02:04:01}]\n")
        self.write("/run/wye/a/manifest.yaml", text)
        return "two queues on each"

    def write(self, path: str, text: str) -> None:
        self.lab.run("a", "sh", "-c", f"cat > {path}", input=text)

    def configure(self, c4: str, access: str, workers: int = 1) -> None:
        cores = ", ".join(f"{{core: {core}}}" for core in range(workers))
        self.write(CONFIG, f"""
instance: a
run_dir: /run/wye/a
workers: [{cores}]
memory: {{hugepages: never, megabytes: 128}}
ports:
  - {{name: carrier4, kind: af_xdp, interface: c4{c4}}}
  - {{name: carrier6, kind: af_packet, interface: c6}}
  - {{name: access, kind: af_xdp, interface: access{access}}}
""")

    def start(self) -> str:
        before = self.words().count("AF_XDP on c4")
        self.topology.start("a", "dataplane", "wire-a", str(PROGRAMS["wye-dataplane"]),
                            "--config", CONFIG)
        wait_for(lambda: self.words().count("AF_XDP on c4") > before, "the data plane is silent", 10)
        self.topology.await_ready("a")
        return self.said()

    def start_shim(self) -> None:
        self.topology.start("a", "shim", "a", str(PROGRAMS["wye-shim"]), "--instance", "a",
                            "--run-dir", "/run/wye/a", "--manifest", "/run/wye/a/manifest.yaml")

    def words(self) -> str:
        try:
            return (self.lab.logs / "a-dataplane.log").read_text()
        except FileNotFoundError:
            return ""

    def said(self) -> str:
        return [line for line in self.words().splitlines() if "AF_XDP on c4" in line][-1]

    def end(self, signal: str) -> None:
        self.topology.kill("a", "dataplane", signal)

    def program(self) -> str:
        for line in self.lab.run("wire-a", "ip", "link", "show", "c4").stdout.splitlines():
            if "prog/xdp" in line:
                return line.split("tag")[0].strip()
        return ""


def expect(text: str, *parts: str) -> str:
    for part in parts:
        if part not in text:
            raise LabError(f"{part!r} is not in: {text}")
    return text


def answered(lab, place: str, address: str, count: int, size: int = 56) -> str:
    got = ping(lab, place, address, count, size=size)
    if got != count:
        raise LabError(f"{got} of {count} answers from {address} at {place}, {size} bytes")
    return f"{got} answers of {count}, {size} bytes"


def reaches(site: Site) -> str:
    """Hosts on both sides, through the tunnel and the access port, small and of full size."""
    wait_for(lambda: ping(site.lab, FAR, "10.1.0.10", 1) == 1, "nothing goes through the tunnel", 10)
    return "; ".join([answered(site.lab, FAR, "10.1.0.10", 5), answered(site.lab, FAR, "10.255.0.1", 3),
                      answered(site.lab, FAR, "10.1.0.10", 3, 1472),
                      answered(site.lab, "red-host-a", "10.255.0.2", 3)])


def many_flows(site: Site, workers: int) -> str:
    """Flows of a tunnel have a source port each, and so come in by both queues: of one worker, or of
    one each. (A veth without native XDP knows no queues: all comes in by the first.)"""
    lab, flows = site.lab, 64

    def by_queue() -> list[int]:
        if workers > 1:
            return [row["rx_packets"] for row in site.topology.show("a", "workers")][:workers]
        lines = lab.run("wire-a", "ethtool", "-S", "c4").stdout.splitlines()
        values = {name.strip(): int(value) for name, _, value in
                  (line.partition(":") for line in lines) if value.strip().isdigit()}
        return [values[f"rx_queue_{queue}_xdp_packets"] for queue in (0, 1)]

    before = by_queue()
    got = int(lab.run(FAR, "/usr/bin/python3", "-c", ASK, "10.1.0.10", str(flows)).stdout)
    grown = [after - old for after, old in zip(by_queue(), before)]
    if got != flows or min(grown) < flows / 4:
        raise LabError(f"{got} of {flows} flows were answered; frames by queue: {grown}")
    return f"{got} flows answered, frames by queue: {grown}"


def carries_tcp(site: Site) -> str:
    server = site.lab.spawn("red-host-a", "iperf3", "-s", "-1", stdout=subprocess.DEVNULL)
    try:
        report = {"error": "not asked"}
        for _ in range(30):
            report = json.loads(site.lab.run(FAR, "iperf3", "-J", "-t", "1", "-c", "10.1.0.10",
                                             check=False).stdout)
            if "error" not in report:
                break
            time.sleep(0.1)
        if "error" in report:
            raise LabError(report["error"])
        rate = report["end"]["sum_received"]["bits_per_second"] / 1e6
        if rate < 5:
            raise LabError(f"only {rate:.1f} Mb/s")
        return f"{rate:.0f} Mb/s"
    finally:
        server.kill()


def killed(site: Site) -> str:
    """The program stays, and does no harm; nothing answers in the tunnel."""
    site.end("KILL")
    program = expect(site.program(), "wye_steer")
    if ping(site.lab, FAR, "10.1.0.10", 1) != 0:
        raise LabError("the tunnel answers without a router")
    return program


def ended(site: Site) -> str:
    site.end("TERM")
    if "not given back" in site.words():
        raise LabError(site.words())
    return site.program()


def other_mode(site: Site) -> str:
    site.configure(", mode: generic", ", mode: generic, steer: all")
    return expect(site.start(), "generic mode", "copying", "2 queue(s)", "in place of an earlier")


def refused(site: Site, ports: str, *parts: str) -> str:
    site.write("/run/wye/a/refused.yaml", f"""
instance: refused
run_dir: /run/wye/a/refused
workers: [{{core: 0}}]
memory: {{hugepages: never, megabytes: 96}}
ports: [{ports}]
""")
    done = site.lab.run("wire-a", str(PROGRAMS["wye-dataplane"]), "--config",
                        "/run/wye/a/refused.yaml", check=False, timeout=20)
    if done.returncode != 8:
        raise LabError(f"exit code {done.returncode}: {done.stderr}")
    return expect(done.stderr.strip(), *parts)


def foreign(site: Site) -> str:
    source, target = BUILD / "someone_else.bpf.c", BUILD / "someone_else.bpf.o"
    Path(source).write_text(FOREIGN)
    subprocess.run(["clang-14", "-O2", "-g", "-target", "bpf", "-I/usr/include/x86_64-linux-gnu",
                    "-c", str(source), "-o", str(target)], check=True)
    site.lab.run("wire-a", "ip", "link", "set", "dev", "c6", "xdpgeneric", "obj", str(target),
                 "sec", "xdp")
    text = refused(site, "{name: p, kind: af_xdp, interface: c6}", 'port "p": interface "c6" has',
                   "somebody else", "someone_else")
    expect(site.lab.run("wire-a", "ip", "link", "show", "c6").stdout, "someone_else")
    return text


def shown(site: Site, mode: str, takes: str) -> str:
    """As wyectl shows the ports, in JSON and in words."""
    rows = {row["port"]: row for row in site.topology.show("a", "ports")}
    row = rows["carrier4"]
    got = {key: row.get(key) for key in ("driver", "mode", "buffers", "takes")}
    wanted = {"driver": "af_xdp", "mode": mode, "buffers": "copying", "takes": takes}
    if got != wanted or rows["carrier6"].get("driver") != "net_af_packet":
        raise LabError(f"{rows}")
    return expect(site.topology.wyectl("a", "show", "ports").stdout, "MODE", mode, takes,
                  "net_af_packet").splitlines()[1]


def first_mode_again(site: Site) -> str:
    site.configure(", mode: native", ", mode: native, vlans: [10, 20]", workers=2)
    return expect(site.start(), "native mode", "in place of an earlier")


def first_mode(site: Site) -> str:
    site.configure(", mode: native", ", mode: native, vlans: [10, 20]")
    site.start_shim()
    return expect(site.start(), "native mode", "copying", "2 queue(s)", "takes UDP ports 4789, 6081")


with FreshLab("test-af-xdp", pops=(), frr=False) as fresh:
    site = Site(fresh)
    case("the wires are laid", site.lay)
    stream = Stream(fresh.lab)
    case("it starts in native mode", first_mode, site)
    case("the tunnel carries", reaches, site)
    case("how it runs is shown", shown, site, "native", "UDP ports 4789, 6081")
    case("many flows, two queues, one worker", many_flows, site, 1)
    case("TCP through the tunnel", carries_tcp, site)
    case("the ledger balances", balanced, fresh.topology, ("a",))
    case("killed, its program is harmless", killed, site)
    case("it starts again, with two workers", first_mode_again, site)
    case("the tunnel carries again", reaches, site)
    case("many flows, two queues, two workers", many_flows, site, 2)
    case("it ends in order", ended, site)
    case("what the kernel keeps was never touched", stream.end)
    stream = Stream(fresh.lab)
    case("it starts in generic mode, and takes all of the access", other_mode, site)
    case("in generic mode the tunnel carries", reaches, site)
    case("generic mode is shown", shown, site, "generic", "UDP ports 4789, 6081")
    case("in generic mode TCP through the tunnel", carries_tcp, site)
    case("in generic mode the ledger balances", balanced, fresh.topology, ("a",))
    case("in generic mode killed, its program is harmless", killed, site)
    case("in generic mode it starts again", lambda: expect(site.start(), "generic mode"))
    case("in generic mode the tunnel carries again", reaches, site)
    case("in generic mode it ends in order", ended, site)
    case("in generic mode what the kernel keeps was never touched", stream.end)
    case("an interface that is not there is refused", refused, site,
         "{name: p, kind: af_xdp, interface: c9}", 'port "p":', 'no interface "c9"')
    case("an MTU that is too large is refused", refused, site,
         "{name: p, kind: af_xdp, interface: c6, mtu: 9000}", "MTU of 9000", "at most 3818")
    case("a program of somebody else is refused", foreign, site)
finish()
