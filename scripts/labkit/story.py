"""The story that the demo tells and the tests believe: each step does, checks and says one thing.

A step returns what it saw, in one line; it raises LabError with what was wrong. Steps stand on each
other: routes first.
"""

from __future__ import annotations

import concurrent.futures
import time
from collections import Counter

from . import isolation, ledger
from .places import Lab, LabError
from .topology import CONF, POPS, TENANTS, Topology, site_number
from .traffic import (Flow, Streams, every_flow, host, host_address, other, ping, tcp_megabits)
from .wire import Capture

RATE = 1000  # numbered datagrams a second on each flow


def expect(condition: bool, text: str) -> None:
    if not condition:
        raise LabError(text)


def wait_for(question, text: str, seconds: float = 15, pause: float = 0.05):
    """The first true answer of question(); LabError with `text` and the last answer otherwise."""
    deadline = time.monotonic() + seconds
    while True:
        answer = question()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise LabError(f"{text} (waited {seconds:g} s)")
        time.sleep(pause)


class Story:
    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.topology = Topology(lab)

    # -- routes -----------------------------------------------------------------------------------

    def remote_prefixes(self, pop: str) -> tuple[str, str]:
        m = site_number(other(pop))
        return f"10.{m}.0.0/24", f"fd00:{m}::/64"

    def gateways(self, pop: str) -> tuple[str, str]:
        m = site_number(other(pop))
        return f"10.255.0.{m}", f"fd00:ff::{m}"

    def type_red_routes(self, pop: str, no: str = "") -> None:
        (prefix4, prefix6), (gateway4, gateway6) = self.remote_prefixes(pop), self.gateways(pop)
        self.topology.configure(pop, "vrf red", f"{no}ip route {prefix4} {gateway4}",
                                f"{no}ipv6 route {prefix6} {gateway6}")

    def installed(self, pop: str, vrf: str, prefix: str) -> bool:
        rows = self.topology.show(pop, "routes", "--vrf", vrf, "--prefix", prefix)
        return any(row["prefix"] == prefix and row["state"] == "installed" for row in rows)

    def routes_from_frr(self) -> str:
        """Static routes of red are typed into vtysh; those of blue come by BGP."""
        for pop in POPS:
            self.type_red_routes(pop)
        begun = time.monotonic()
        for pop in POPS:
            for tenant in TENANTS:
                for prefix in self.remote_prefixes(pop):
                    wait_for(lambda: self.installed(pop, tenant, prefix),
                             f"route {prefix} of VRF {tenant} is not installed at PoP {pop}", 30)
        took = time.monotonic() - begun
        text = self.topology.vtysh("a", "show ip route vrf red 10.2.0.0/24")
        expect("static" in text, f"zebra does not know red's static route: {text}")
        text = self.topology.vtysh("a", "show ip route vrf blue 10.2.0.0/24")
        expect("bgp" in text, f"zebra does not know blue's BGP route: {text}")
        return f"4 routes of red typed into vtysh, 4 of blue by BGP: installed after {took:.1f} s"

    # -- traffic ----------------------------------------------------------------------------------

    def pings(self) -> str:
        def one(work):
            tenant, pop, family = work
            # The first may wait for a neighbour at each hop; held packets are sent, not lost.
            got = ping(self.lab, host(tenant, pop), host_address(other(pop), family), 4)
            expect(got == 4, f"ping {tenant} {pop}→{other(pop)} IPv{family}: {got} of 4 answers")
            return got

        work = [(t, p, f) for t in TENANTS for p in POPS for f in (4, 6)]
        with concurrent.futures.ThreadPoolExecutor(len(work)) as pool:
            total = sum(pool.map(one, work))
        return f"{total} of {4 * len(work)} answers, both tenants, both ways, IPv4 and IPv6 at once"

    def tcp(self) -> str:
        work = [("red", "a", 4, 5201), ("blue", "a", 4, 5202), ("red", "b", 6, 5203),
                ("blue", "b", 6, 5204)]
        with concurrent.futures.ThreadPoolExecutor(len(work)) as pool:
            rates = list(pool.map(
                lambda w: tcp_megabits(self.lab, w[0], w[1], w[2], 1.0, w[3]), work))
        for (tenant, pop, family, _), rate in zip(work, rates):
            expect(rate > 1, f"TCP {tenant} {pop}→{other(pop)} IPv{family}: {rate:.2f} Mbit/s")
        return "four transfers at once: " + ", ".join(
            f"{w[0]} IPv{w[2]} {rate:.0f} Mbit/s" for w, rate in zip(work, rates))

    def wire(self) -> str:
        """Between the PoPs: red in VXLAN over IPv4, blue in GENEVE over IPv6, nothing else.

        A port sends past the kernel's taps, so each direction is captured at the far end.
        """
        filter_ = "udp port 4789 or udp port 6081"
        captures = {(place, carrier): Capture(self.lab, place, carrier, filter_)
                    for place in ("wire-a", "wire-b") for carrier in ("c4", "c6")}
        for tenant in TENANTS:
            for family in (4, 6):
                ping(self.lab, host(tenant, "a"), host_address("b", family), 3)
        frames = {place: capture.stop() for place, capture in captures.items()}
        total = {"c4": 0, "c6": 0}
        for (place, carrier), seen in frames.items():
            expect(len(seen) >= 6, f"only {len(seen)} tunnel packets arrive at {place}, {carrier}")
            total[carrier] += len(seen)
            for frame in seen:
                self.judge_tunnel_frame(carrier, frame)
        return (f"{total['c4']} frames eth/IPv4/UDP 4789/VXLAN VNI 100, "
                f"{total['c6']} frames eth/IPv6/UDP 6081/GENEVE VNI 200; checksums good")

    @staticmethod
    def judge_tunnel_frame(carrier: str, frame: dict[str, list[str]]) -> None:
        field, vni, layers = {
            "c4": ("vxlan.vni", 100, "eth:ethertype:ip:udp:vxlan:eth:ethertype:"),
            "c6": ("geneve.vni", 200, "eth:ethertype:ipv6:udp:geneve:eth:ethertype:"),
        }[carrier]
        seen = frame["frame.protocols"][0]
        inner = seen.removeprefix(layers).partition(":")[0]
        # Besides the hosts' packets: the routers ask for each other inside the tunnels.
        expect(seen.startswith(layers) and inner in ("ip", "ipv6", "arp"),
               f"unexpected layers on {carrier}: {seen}")
        expect(int(frame[field][0], 0) == vni, f"{field} on {carrier}: {frame[field]}")
        expect(not frame["_ws.malformed"], f"tshark calls a frame malformed: {frame}")
        # tshark: 0 bad, 1 good, 2 unverified, 3 not present.
        expect("0" not in frame["udp.checksum.status"], f"bad UDP checksum: {frame}")
        expect("0" not in frame["ip.checksum.status"], f"bad IPv4 checksum: {frame}")
        port = int(frame["udp.srcport"][0])
        expect(port >= 49152, f"tunnel source port {port} is not in 49152–65535")

    # -- an ACL, live -----------------------------------------------------------------------------

    def edited_manifest(self, pop: str, name: str, edit) -> str:
        """A copy of the PoP's manifest with `edit` applied to its text; its path."""
        text = edit((CONF / pop / "manifest.yaml").read_text())
        path = f"/run/wye/{pop}/{name}.yaml"
        self.lab.run(pop, "sh", "-c", f"cat > {path}", input=text)
        return path

    def apply(self, pop: str, path: str) -> None:
        self.topology.wyectl(pop, "apply", "-f", path)

    def restore_manifest(self, pop: str) -> None:
        self.apply(pop, str(CONF / pop / "manifest.yaml"))

    def acl(self) -> str:
        """Under traffic, an ACL that blocks one UDP port of red from site A."""
        blocked, open_ = 7104, 7004
        flows = [Flow("red", "a", 4, blocked), Flow("red", "a", 4, open_),
                 Flow("blue", "a", 4, blocked), Flow("blue", "a", 4, open_)]

        def edit(text: str) -> str:
            acl = (f"    acls:\n      - name: guard\n        default: permit\n        rules:\n"
                   f"          - {{action: deny, protocol: udp, destination: 10.2.0.0/16, "
                   f"destination_ports: {blocked}}}\n")
            head, tail = text.split("      - name: red-site\n", 1)
            tail = "        ingress_acl: guard\n" + tail
            end = tail.index("\n  - name: blue")
            return head + "      - name: red-site\n" + tail[:end] + "\n" + acl + tail[end:]

        path = self.edited_manifest("a", "acl", edit)
        streams = Streams(self.lab, flows, RATE, 4)
        time.sleep(1.2)
        before = time.monotonic_ns()
        self.apply("a", path)
        applied = time.monotonic_ns()
        try:
            results = {r.flow: r for r in streams.results()}
            for row in self.topology.show("a", "acls"):
                if row["acl"] == "guard" and row["rule"] == 0:
                    hits = row["packets"]
                    break
            else:
                raise LabError("wyectl show acls does not show rule 0 of 'guard'")
        finally:
            self.restore_manifest("a")
        victim = results.pop(flows[0])
        expect(victim.lost > RATE, f"the ACL blocked only {victim.lost} of {victim.sent} packets")
        expect(hits == victim.lost,
               f"{victim.lost} packets of {victim.flow} did not arrive, but the rule counted {hits}")
        expect(before <= victim.last_ns <= applied + 50_000_000,
               f"a packet passed {(victim.last_ns - applied) / 1e6:.1f} ms after apply returned")
        for result in results.values():
            expect(result.lost == 0, f"{result.flow}: {result.lost} packets lost")
        return (f"udp/{blocked} of red denied {victim.lost} times, hit counter {hits}; "
                f"3 other streams of {RATE}/s lost 0 of {sum(r.sent for r in results.values())}")

    # -- withdrawal -------------------------------------------------------------------------------

    def withdrawal(self) -> str:
        """A route withdrawn in vtysh stops traffic within 100 ms, and comes back as fast."""
        flow = Flow("red", "a", 4, 7204)
        streams = Streams(self.lab, [flow], RATE, 5)
        time.sleep(1)
        prefix, _ = self.remote_prefixes("a")
        gateway, _ = self.gateways("a")
        self.topology.configure("a", "vrf red", f"no ip route {prefix} {gateway}")
        withdrawn = time.monotonic_ns()
        time.sleep(1)
        self.topology.configure("a", "vrf red", f"ip route {prefix} {gateway}")
        restored = time.monotonic_ns()
        result = streams.results()[0]
        stopped = (result.gap_from_ns - withdrawn) / 1e6
        resumed = (result.gap_from_ns + result.longest_gap_ms * 1e6 - restored) / 1e6
        expect(result.longest_gap_ms > 700, f"the withdrawal stopped traffic only for "
                                            f"{result.longest_gap_ms:.0f} ms")
        expect(stopped <= 100, f"the last packet passed {stopped:.0f} ms after vtysh had returned")
        expect(resumed <= 100, f"the first packet passed {resumed:.0f} ms after vtysh had returned")
        return (f"last packet {stopped:+.1f} ms, first again {resumed:+.1f} ms "
                f"around the return of vtysh")

    # -- restarts ---------------------------------------------------------------------------------

    def snapshot(self) -> dict[str, list]:
        """What the fast path holds, for comparison across a restart."""
        state = {}
        for pop in POPS:
            rows = self.topology.show(pop, "routes")
            state[pop] = sorted((r["vrf"], r["prefix"], r["state"], r["nexthop"], r.get("vport") or "")
                                for r in rows)
        return state

    def drops(self) -> Counter:
        """What the routers have dropped so far, and why."""
        drops = Counter()
        for pop in POPS:
            for row in self.topology.show(pop, "drops"):
                if "tenant" in row:
                    drops[f"PoP {pop}, {row['tenant']}: {row['reason']}"] += row["packets"]
        return drops

    def under_streams(self, seconds: float, disturb) -> tuple[float, list, Counter]:
        """How long `disturb` took, what the streams say, and what had been dropped before."""
        drops_before = self.drops()
        streams = Streams(self.lab, every_flow(7300), RATE, seconds)
        time.sleep(0.7)
        begun = time.monotonic()
        disturb()
        took = time.monotonic() - begun
        return took, streams.results(), drops_before

    def no_loss(self, results, drops_before: Counter) -> str:
        """`drops_before`: drops() of when the streams began, so that a loss is told with its reasons."""
        lost = {str(r.flow): r.lost for r in results if r.lost}
        if lost:
            dropped = dict(self.drops() - drops_before)
            raise LabError(f"packets were lost: {lost}; dropped meanwhile, in all: {dropped}")
        return f"{sum(r.sent for r in results)} packets on {len(results)} streams, 0 lost"

    def reconciled(self, before: dict) -> None:
        for pop in POPS:
            self.topology.await_ready(pop)
        wait_for(lambda: self.snapshot() == before,
                 "the routes in the fast path are not what they were before", 20, 0.2)

    def zebra_restart(self) -> str:
        """zebra is killed; as FRR's own watchdog does, the daemons on it are started anew too.

        Their configuration is what was written with `write memory`. Streams go on until the routes
        of the new zebra have replaced those of the old one in the fast path.
        """
        before = self.snapshot()
        self.topology.vtysh("a", "write memory")

        def disturb():
            self.topology.kill("a", "zebra")
            time.sleep(0.5)
            for daemon in ("bgpd", "staticd"):
                self.topology.kill("a", daemon)
            self.topology.start_frr("a")

        took, results, drops_before = self.under_streams(14, disturb)
        said = self.no_loss(results, drops_before)
        self.reconciled(before)
        return f"zebra of A killed, FRR back after {took:.1f} s; {said}; state reconciled"

    def shim_restart(self) -> str:
        before = self.snapshot()

        def disturb():
            self.topology.kill("a", "shim")
            time.sleep(0.5)
            self.topology.start_shim("a")
            self.topology.await_ready("a")

        took, results, drops_before = self.under_streams(5, disturb)
        said = self.no_loss(results, drops_before)
        self.reconciled(before)
        return f"shim of A killed with SIGKILL, back after {took:.1f} s; {said}; state reconciled"

    def dataplane_restart(self) -> str:
        before = self.snapshot()

        def disturb():
            self.topology.kill("a", "dataplane")
            self.topology.start_dataplane("a")

        _, results, _ = self.under_streams(6, disturb)
        for result in results:
            expect(result.received > 0, f"{result.flow}: nothing arrived")
            expect(result.lost < 3 * RATE, f"{result.flow}: {result.lost} lost: it did not come back")
        self.reconciled(before)
        ping_after = ping(self.lab, host("red", "a"), host_address("b", 4), 3)
        expect(ping_after == 3, f"after the restart only {ping_after} of 3 pings are answered")
        blackout = max(r.longest_gap_ms for r in results)
        return (f"data plane of A killed with SIGKILL and started: forwarding again from its arena, "
                f"longest blackout {blackout:.0f} ms, then reconciled")

    # -- isolation --------------------------------------------------------------------------------

    def isolation(self) -> str:
        found = isolation.check(self.lab)
        expect(not found.breaches, "; ".join(found.breaches))
        expect(not found.missing, "; ".join(found.missing))
        return (f"{found.injected} frames put in at both trunks and all tunnels, {found.arrived} "
                f"arrived, 0 at the other tenant")

    def misbinding(self) -> str:
        """The check catches a mistake: at B, red's site is bound to blue's VLAN."""
        without = self.edited_manifest("b", "without", drop_blue_site)
        wrong = self.edited_manifest(
            "b", "wrong", lambda text: drop_blue_site(text).replace("vlan: 10", "vlan: 20"))
        try:
            self.apply("b", without)
            self.apply("b", wrong)
            time.sleep(0.3)
            found = isolation.check(self.lab)
        finally:
            self.restore_manifest("b")
        expect(bool(found.breaches), "red bound to blue's VLAN, and the check did not notice")
        for family in (4, 6):  # a twin made anew first finds out that its IPv6 addresses are free
            wait_for(lambda: ping(self.lab, host("blue", "a"), host_address("b", family), 1) == 1,
                     f"blue does not work over IPv{family} after the manifest was restored")
        return f"red bound to blue's VLAN at B: caught ({found.breaches[0]}); restored"

    def ledger(self) -> str:
        faults = ledger.check(self.topology)
        expect(not faults, "; ".join(faults))
        return "every packet is accounted for on each worker, port and tenant of both PoPs"

    STEPS = [
        ("routes appear from FRR in the fast path", routes_from_frr),
        ("ping between both pairs of hosts", pings),
        ("TCP between both pairs of hosts", tcp),
        ("on the wire between the PoPs", wire),
        ("an ACL added live", acl),
        ("a route withdrawn and restored in vtysh", withdrawal),
        ("zebra killed and restarted under traffic", zebra_restart),
        ("the shim killed and restarted under traffic", shim_restart),
        ("the data plane killed and restarted", dataplane_restart),
        ("isolation of tenants", isolation),
        ("a deliberate misbinding is caught", misbinding),
        ("the ledger balances", ledger),
    ]


def drop_blue_site(text: str) -> str:
    """The manifest without the vport blue-site."""
    head, tail = text.split("      - name: blue-site\n", 1)
    return head + tail[tail.index("      - name: blue-"):]


def tell(lab: Lab, say, only: list[str] | None = None) -> int:
    """Runs the steps; `say(number, title, ok, seconds, text)` after each. Number of failures."""
    story = Story(lab)
    failures = 0
    for number, (title, step) in enumerate(Story.STEPS, 1):
        if only and step.__name__ not in only:
            continue
        begun = time.monotonic()
        try:
            text, good = step(story), True
        except (LabError, OSError, ValueError, KeyError, TimeoutError) as error:
            text, good = f"{type(error).__name__}: {error}", False
            failures += 1
        say(number, title, good, time.monotonic() - begun, text)
    return failures



