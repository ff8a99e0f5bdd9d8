#!/usr/bin/python3
"""BFD sessions of FRR's bfdd, run by the data plane, with FRR's own software BFD at the other end.

PoP A has two next hops, inside two VXLAN tunnels, to Linux devices in PoP B's namespace, where packaged
zebra, bfdd and bgpd run and no wye. A path dies without a word; traffic moves to the other one; BGP is
told; bfdd and the shim are killed; what is not a session's is refused and counted.
"""

import json
import time
from collections import Counter

from tap import FreshLab, LabError, balanced, case, finish

from labkit.story import Story, wait_for
from labkit.topology import BFDD_SOCKET, PROGRAMS

FAR = "b"
PREFIX = "10.2.0.0/24"
TARGET = "10.2.0.10"
PATHS = {"far1": (100, "10.255.0.2"), "far2": (103, "10.255.4.2")}
SIX = "fd00:ff::2"
INTERVAL, MULTIPLIER = 50, 3  # milliseconds
MANIFEST = "/run/wye/a/two-tunnels.yaml"
DROP = "1,6 0 0 2,"  # classic BPF: return TC_ACT_SHOT
FLOWS, RATE = 64, 2000        # datagrams a second, over all flows

TUNNEL = "      - {name: red-vxlan, kind: vxlan, local: 192.0.2.1, remote: 192.0.2.2, vni: 100}\n"
SECOND = """
      - name: red-c
        vrf: red
        tunnel: red-vxlan-2
        mac: 02:00:00:01:10:fe
        mtu: 1500
        addresses: [10.255.4.1/30]
"""


def two_tunnels(text: str) -> str:
    text = text.replace(TUNNEL, TUNNEL + TUNNEL.replace("red-vxlan", "red-vxlan-2")
                        .replace("vni: 100", "vni: 103"))
    return text.replace("\n  - name: blue\n", SECOND + "\n  - name: blue\n")


def profile() -> str:
    return f"""
bfd
 profile fast
  detect-multiplier {MULTIPLIER}
  receive-interval {INTERVAL}
  transmit-interval {INTERVAL}
 exit
"""


def near_configuration() -> str:
    return profile() + f"""
 peer 10.255.0.2 local-address 10.255.0.1 vrf red interface red-b
  profile fast
 exit
 peer 10.255.4.2 local-address 10.255.4.1 vrf red interface red-c
  profile fast
 exit
 peer {SIX} local-address fd00:ff::1 vrf red interface red-b
  profile fast
 exit
 peer 10.255.0.2 multihop local-address 10.255.4.1 vrf red
  profile fast
 exit
 peer 10.255.9.9 multihop local-address 10.255.0.1 vrf red
 exit
exit
router bgp 65001 vrf red
 bgp router-id 10.255.0.1
 no bgp ebgp-requires-policy
 neighbor 10.255.0.2 remote-as 65002
 neighbor 10.255.0.2 timers 30 90
 neighbor 10.255.0.2 timers connect 1
 neighbor 10.255.0.2 bfd
 neighbor 10.255.0.2 bfd profile fast
exit
"""


def far_configuration() -> str:
    return profile() + f"""
 peer 10.255.0.1 local-address 10.255.0.2 interface far1
  profile fast
 exit
 peer 10.255.4.1 local-address 10.255.4.2 interface far2
  profile fast
 exit
 peer fd00:ff::1 local-address {SIX} interface far1
  profile fast
 exit
 peer 10.255.4.1 multihop local-address 10.255.0.2
  profile fast
 exit
exit
router bgp 65002
 bgp router-id 10.255.0.2
 no bgp ebgp-requires-policy
 neighbor 10.255.0.1 remote-as 65001
 neighbor 10.255.0.1 timers 30 90
 neighbor 10.255.0.1 timers connect 1
 address-family ipv4 unicast
  network 198.51.100.0/24
 exit-address-family
exit
ip route 198.51.100.0/24 blackhole
"""


def make_far_end(fresh) -> None:
    lab = fresh.lab
    lab.shell("wire-b", "ip link set c4 netns /run/wye-ns/b.net")
    lab.shell(FAR, """
        sysctl -qw net.ipv4.ip_forward=0
        ethtool -K c4 tx off sg off tso off gso off gro off >/dev/null
        ip link set c4 arp on address 02:00:00:02:04:01 up
        ip address add 192.0.2.2/30 dev c4
        ip address add 10.2.0.10/32 dev lo""")
    for name, (vni, address) in PATHS.items():
        lab.shell(FAR, f"""
            ip link add name {name} type vxlan id {vni} local 192.0.2.2 remote 192.0.2.1 dstport 4789
            sysctl -qw net.ipv6.conf.{name}.accept_dad=0
            ip link set {name} mtu 1500 up
            ip address add {address}/30 dev {name}""")
    lab.shell(FAR, f"ip address add {SIX}/64 dev far1; ip route add 10.1.0.0/24 via 10.255.0.1")


def start_far_frr(fresh) -> None:
    topology, lab = fresh.topology, fresh.lab
    lab.shell(FAR, "touch /etc/frr/vtysh.conf; chown frr:frr /etc/frr/vtysh.conf")
    topology.start(FAR, "zebra", FAR, "/usr/lib/frr/zebra", "-P", "0", "--log", "stdout")
    topology.await_vty(FAR, "zebra")
    for daemon in ("staticd", "bfdd", "bgpd"):
        topology.start_daemon(FAR, daemon)
    for daemon in ("staticd", "bfdd", "bgpd"):
        topology.await_vty(FAR, daemon)
    load(fresh, FAR, far_configuration())


def load(fresh, pop: str, text: str) -> None:
    """From a file: vtysh -c waits for answers of bfdd that may not come."""
    path = fresh.lab.logs / f"{pop}-bfd.conf"
    path.write_text(text)
    fresh.lab.run(pop, "vtysh", "-f", str(path))


def start_near_bfdd(fresh) -> None:
    fresh.topology.start("a", "bfdd", "a", "/usr/lib/frr/bfdd", "-P", "0", "--log", "stdout",
                         "--dplaneaddr", f"unix:{BFDD_SOCKET}")
    fresh.topology.await_vty("a", "bfdd")


def sessions(fresh) -> dict:
    """(neighbour, hops) → row."""
    return {(row["neighbour"], row.get("hops")): row for row in fresh.topology.show("a", "bfd")}


def state(fresh, neighbour: str, hops: str = "single") -> str:
    return sessions(fresh).get((neighbour, hops), {}).get("state", "absent")


WANTED = [("10.255.0.2", "single"), ("10.255.4.2", "single"), (SIX, "single"),
          ("10.255.0.2", "multi")]


def bfdd_peers(fresh, pop: str) -> dict:
    text = fresh.topology.vtysh(pop, "show bfd vrf red peers json" if pop == "a" else
                                "show bfd peers json")
    return {(peer["peer"], "multi" if peer.get("multihop") else "single"): peer
            for peer in json.loads(text)}


def come_up(fresh) -> str:
    story = Story(fresh.lab)
    story.apply("a", story.edited_manifest("a", "two-tunnels", two_tunnels))
    start_near_bfdd(fresh)
    load(fresh, "a", near_configuration())
    begun = time.monotonic()
    def up():
        rows = sessions(fresh)
        return all(rows.get(key, {}).get("state") == "up" for key in WANTED)
    try:
        wait_for(up, "not all sessions come up", 20)
    except LabError as error:
        seen = [(key, row.get("state"), row.get("diagnostic"))
                for key, row in sessions(fresh).items()]
        raise LabError(f"{error}: {seen}") from error
    took = time.monotonic() - begun
    def told():
        return all(bfdd_peers(fresh, "a").get(key, {}).get("status") == "up" for key in WANTED)
    wait_for(told, "bfdd is not told", 5)
    def agreed():
        row = sessions(fresh)[WANTED[0]]
        return (row["transmit_ms"], row["detection_ms"]) == (str(INTERVAL),
                                                             str(INTERVAL * MULTIPLIER))
    wait_for(agreed, "the intervals are not what was agreed", 5)
    return f"4 sessions up after {took:.1f} s: IPv4, IPv6, multihop; bfdd shows them up"


def ambiguous(fresh) -> str:
    """Both tenants have its local address, and bfdd names no VRF."""
    row = sessions(fresh).get(("10.255.9.9", "multi"), {})
    if row.get("state") != "refused" or "red, blue" not in row.get("diagnostic", ""):
        raise LabError(f"a session that may be of two tenants is not refused: {row}")
    return row["diagnostic"]


def counters(fresh) -> str:
    def counted():
        text = fresh.topology.vtysh("a", "show bfd vrf red peers counters json")
        peers = {peer["peer"]: peer for peer in json.loads(text) if not peer.get("multihop")}
        peer = peers["10.255.0.2"]
        both = peer["control-packet-input"], peer["control-packet-output"]
        return both if min(both) >= 10 else None
    into, out = wait_for(counted, "bfdd shows too few packets", 10)
    return f"{into} in, {out} out"


def bgp_up(fresh) -> str:
    def established():
        text = fresh.topology.vtysh("a", "show bgp vrf red neighbors 10.255.0.2 json")
        peer = json.loads(text)["10.255.0.2"]
        # bgpd acts on a Down only after it has heard of an Up since the session was made.
        return (peer["bgpState"] == "Established" and
                peer.get("peerBfdInfo", {}).get("status") == "Up")
    wait_for(established, "BGP does not come up", 30)
    wait_for(lambda: Story(fresh.lab).installed("a", "red", "198.51.100.0/24"), "no BGP route", 15)
    return "established, with bfd"


LISTEN = """
import socket, struct, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
s.bind(("", 9))
s.settimeout(float(sys.argv[1]))
got = set()
try:
    while True:
        number, = struct.unpack_from("!I", s.recv(64))
        got.add(number)
except TimeoutError:
    pass
print(" ".join(map(str, sorted(got))))
"""
SEND = """
import socket, struct, sys, time
flows, rate, seconds = map(float, sys.argv[1:])
sockets = []
for i in range(int(flows)):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("", 20000 + i))
    s.connect(("%s", 9))
    sockets.append(s)
begin = time.monotonic()
times = []
for number in range(int(rate * seconds)):
    due = begin + number / rate
    while (now := time.monotonic()) < due:
        time.sleep(max(0, due - now))
    sockets[number %% len(sockets)].send(struct.pack("!I", number))
    times.append(now)
print(" ".join("%%.6f" %% t for t in times))
""" % TARGET


def traffic_while(fresh, seconds: float, do):
    """Numbered datagrams while do() runs after a second: what do() returned, and (number, when sent) of
    those that did not arrive."""
    lab = fresh.lab
    listener = lab.spawn(FAR, "/usr/bin/python3", "-c", LISTEN, "2", stdout=-1, text=True)
    time.sleep(0.3)
    sender = lab.spawn("red-host-a", "/usr/bin/python3", "-c", SEND, str(FLOWS), str(RATE),
                       str(seconds), stdout=-1, text=True)
    time.sleep(1)
    done = do()
    sent = [float(word) for word in sender.communicate(timeout=seconds + 20)[0].split()]
    got = set(map(int, listener.communicate(timeout=20)[0].split()))
    if len(got) < len(sent) // 2:
        raise LabError(f"of {len(sent)} datagrams only {len(got)} came")
    return done, [(number, at) for number, at in enumerate(sent) if number not in got]


def two_routes(fresh) -> str:
    fresh.topology.configure("a", "vrf red", *[f"ip route {PREFIX} {address}"
                                               for _, address in PATHS.values()])
    wait_for(lambda: Story(fresh.lab).installed("a", "red", PREFIX), "no route", 15)
    _, lost = traffic_while(fresh, 2, lambda: None)
    if len(lost) > RATE // 10:
        raise LabError(f"{len(lost)} datagrams lost while all is well")
    return f"{len(lost)} of {2 * RATE} lost"


def cut(fresh, path: str) -> float:
    """Both directions, in the far kernel; the links stay up."""
    fresh.lab.shell(FAR, f"""
        tc qdisc add dev {path} clsact
        tc filter add dev {path} ingress bpf da bytecode '{DROP}'
        tc filter add dev {path} egress bpf da bytecode '{DROP}'""")
    return time.monotonic()


def mend(fresh, path: str) -> None:
    fresh.lab.shell(FAR, f"tc qdisc del dev {path} clsact")


def silent_death(fresh) -> str:
    before = sessions(fresh)[("10.255.0.2", "single")]["downs"]
    cut_at, lost = traffic_while(fresh, 4, lambda: cut(fresh, "far1"))
    row = sessions(fresh)[("10.255.0.2", "single")]
    if row["state"] == "up" or row["path"] != "failed" or row["downs"] != before + 1:
        raise LabError(f"the session did not go down: {row}")
    if row["last_down"] != "control detection time expired":
        raise LabError(f"it went down for another reason: {row['last_down']}")
    if not lost:
        raise LabError("nothing was lost: the cut did not cut")
    # A tenth of a second in which a sixth is lost belongs to the dead path; single ones may be lost by
    # the hosts of a busy machine.
    tenths = Counter(int(10 * (at - cut_at)) for _, at in lost if at > cut_at)
    dark = [tenth for tenth, count in tenths.items() if count > RATE / 10 / 6]
    last = max(at - cut_at for _, at in lost if int(10 * (at - cut_at)) in dark)
    detection = INTERVAL * MULTIPLIER / 1000
    if last > detection + 0.25:  # so much that a busy machine is forgiven
        raise LabError(f"{len(lost)} lost, the last {1000 * last:.0f} ms after the cut: {tenths}")
    return f"last datagram lost {1000 * last:.0f} ms after the cut ({INTERVAL} ms x {MULTIPLIER})"


def bgp_told(fresh) -> str:
    begun = time.monotonic()
    def down():
        text = fresh.topology.vtysh("a", "show bgp vrf red neighbors 10.255.0.2 json")
        return json.loads(text)["10.255.0.2"]["bgpState"] != "Established"
    wait_for(down, "BGP holds its session (hold time 90 s)", 5)
    text = fresh.topology.vtysh("a", "show bgp vrf red neighbors 10.255.0.2")
    reason = [line.strip() for line in text.splitlines() if "Last reset" in line]
    if not any("BFD" in line for line in reason):
        raise LabError(f"BGP went down for another reason: {reason}")
    return f"{reason[0]}; seen after {time.monotonic() - begun:.1f} s"


def path_returns(fresh) -> str:
    mend(fresh, "far1")
    wait_for(lambda: state(fresh, "10.255.0.2") == "up", "the session does not return", 20)
    row = sessions(fresh)[("10.255.0.2", "single")]
    if row["path"] != "good":
        raise LabError(f"the path is not good again: {row}")
    return bgp_up(fresh)


def downs(fresh) -> dict:
    return {key: row["downs"] for key, row in sessions(fresh).items() if key in WANTED}


def shim_dies(fresh) -> str:
    before = downs(fresh)
    fresh.topology.kill("a", "shim")
    time.sleep(1)
    far = bfdd_peers(fresh, FAR)
    if any(peer["status"] != "up" for peer in far.values()):
        raise LabError(f"the far end lost sessions: {far}")
    fresh.topology.start("a", "shim", "a", str(PROGRAMS["wye-shim"]), "--instance", "a",
                         "--run-dir", "/run/wye/a", "--zebra-socket", "/run/wye/a/zebra.sock",
                         "--bfdd", f"red=unix:{BFDD_SOCKET}", "--manifest", MANIFEST)
    fresh.topology.await_ready("a")
    wait_for(lambda: all(state(fresh, *key) == "up" for key in WANTED), "sessions are lost", 15)
    wait_for(lambda: all(bfdd_peers(fresh, "a").get(key, {}).get("status") == "up"
                         for key in WANTED), "bfdd is not told by the new shim", 10)
    time.sleep(16)  # what was not declared again would be swept
    if downs(fresh) != before:
        raise LabError(f"sessions went down: {before}, {downs(fresh)}")
    return "no session went down"


def bfdd_dies(fresh) -> str:
    before = downs(fresh)
    numbers = {key: sessions(fresh)[key]["discriminator"] for key in WANTED}
    fresh.topology.kill("a", "bfdd")
    time.sleep(1)
    start_near_bfdd(fresh)
    load(fresh, "a", near_configuration())
    wait_for(lambda: all(bfdd_peers(fresh, "a").get(key, {}).get("status") == "up"
                         for key in WANTED), "the new bfdd is not told", 15)
    time.sleep(16)
    if downs(fresh) != before:
        raise LabError(f"sessions went down: {before}, {downs(fresh)}")
    if numbers != {key: sessions(fresh)[key]["discriminator"] for key in WANTED}:
        raise LabError("sessions were begun anew")
    return "a bfdd that knew nothing took all sessions over; none went down"


FORGE = """
import socket, struct, sys
ttl = int(sys.argv[1])
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
s.bind(("", 50000))
for version, flags, length, mult, mine in ((1, 1 << 6, 24, 3, 7), (0, 1 << 6, 24, 3, 7),
                                           (1, 1 << 6 | 4, 26, 3, 7)):
    packet = struct.pack("!BBBBIIIII", version << 5, flags, mult, length, mine, 0, 1000000, 1000000, 0)
    s.sendto(packet + b"\\1\\2", ("10.1.0.1", 3784))
"""


def forged(fresh) -> str:
    """From a host of the tenant, to the router's address."""
    def none_of_a_session():
        return next((row for row in fresh.topology.show("a", "bfd")
                     if row["neighbour"] == "of no session"), {})
    def ttl_drops():
        return sum(row["packets"] for row in fresh.topology.show("a", "drops", "--port", "access")
                   if row["reason"] == "bfd_hop_limit")
    before = none_of_a_session().get("dropped_packets", 0)
    fresh.lab.run("red-host-a", "/usr/bin/python3", "-c", FORGE, "64")
    wait_for(lambda: ttl_drops() == 3, "TTL 64 is not refused", 5)
    fresh.lab.run("red-host-a", "/usr/bin/python3", "-c", FORGE, "255")
    wait_for(lambda: none_of_a_session().get("dropped_packets", 0) == before + 3,
             f"not refused: {none_of_a_session()}", 5)
    return none_of_a_session()["drop_reasons"]


def peer_removed(fresh) -> str:
    load(fresh, "a", "bfd\n no peer 10.255.0.2 multihop local-address 10.255.4.1 vrf red\nexit\n")
    wait_for(lambda: state(fresh, "10.255.0.2", "multi") == "absent", "the session stays", 5)
    return "gone"


with FreshLab("test-bfd", pops=("a",)) as fresh:
    case("Linux makes two ends", make_far_end, fresh)
    case("FRR starts at the far end", start_far_frr, fresh)
    case("sessions come up", come_up, fresh)
    case("an ambiguous session is refused", ambiguous, fresh)
    case("bfdd is told the counters", counters, fresh)
    case("BGP comes up", bgp_up, fresh)
    case("traffic by two next hops", two_routes, fresh)
    case("one dies silently", silent_death, fresh)
    case("BGP is told", bgp_told, fresh)
    case("it comes back", path_returns, fresh)
    case("the shim is killed", shim_dies, fresh)
    case("bfdd is killed", bfdd_dies, fresh)
    case("forged packets", forged, fresh)
    case("a session is removed", peer_removed, fresh)
    case("ledger", balanced, fresh.topology, ("a",))
finish()
