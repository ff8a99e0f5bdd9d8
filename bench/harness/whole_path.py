"""One worker from receive to transmit, beside peers on the same source, by turns: A B A B …

The port is net_wye_source (bench/source-pmd), which counts into a file, so that all applications
are measured alike, from outside. Lines named growth/FAMILY/LINE/X are points of plots, measured only
when asked for."""

import random
import sys
from dataclasses import dataclass
from typing import Callable, Optional

import af_xdp
import figures
import frames
import growth
import linux_kernel
import ovs
import peers
from applications import Missing, Workbench

FLOWS, MANY_FLOWS = 65536, 1 << 20
ONE, FOUR_K, SIXTY_FOUR_K, MILLION = (0, 1), (0, 4096), (0, FLOWS), (0, MANY_FLOWS)
ALL = (0, 0)
FEW = 8
SIZES, EACH = [64, 128, 256, 512, 1024, 1518, 4096, 9000], 256


@dataclass
class Line:
    """A row: what wye does with which frames, beside whom, with which frames of theirs."""

    name: str
    wye: str
    window: tuple
    peer: Optional[str] = None
    peer_window: Optional[tuple] = None
    unit: str = "Mpps"
    quick: bool = True     # also with --quick
    share: bool = False    # the value is the ratio: what one thing is of another


def window_of_size(number):
    return number * EACH, EACH


LINES = [
    Line("path-a-few-one-flow", "route-few", ONE, "testpmd io"),
    Line("path-a-64k", "route4", SIXTY_FOUR_K, "l3fwd fib"),
    Line("path-a-one-flow", "route4", ONE, "l3fwd fib", quick=False),
    Line("path-a-1m", "route4", MILLION, "l3fwd fib", quick=False),
    Line("path-a6-64k", "route6", SIXTY_FOUR_K, "l3fwd fib6"),
    Line("path-b-geneve-64k", "encap-geneve", SIXTY_FOUR_K, "l3fwd fib"),
    Line("path-b-geneve-1m", "encap-geneve", MILLION, "l3fwd fib", quick=False),
    Line("path-b-vxlan-64k", "encap-vxlan", SIXTY_FOUR_K, "l3fwd fib"),
    Line("path-b-vxlan-one-flow", "encap-vxlan", ONE, "ovs-dpdk vxlan"),
    Line("path-b-vxlan-4k", "encap-vxlan", FOUR_K, "ovs-dpdk vxlan"),
    Line("path-c-geneve-64k", "decap-geneve", ALL, "l3fwd fib", SIXTY_FOUR_K),
    Line("path-c-vxlan-64k", "decap-vxlan", ALL, "l3fwd fib", SIXTY_FOUR_K),
    Line("4096-vrfs-path", "tenants-4096", ALL, "tenants-one", unit="ns"),
    Line("two-workers", "two-workers", SIXTY_FOUR_K, "one-worker", share=True),
    *(Line(f"path-a-{size}-bytes", "sizes", window_of_size(number), "testpmd io sizes",
           quick=False) for number, size in enumerate(SIZES)),
    Line("path-a-imix", "sizes", (len(SIZES) * EACH, 4096), "testpmd io sizes", quick=False),
    Line("linux-forwarding", "route-few", FOUR_K, "linux"),
    Line("linux-forwarding-64k", "route4", SIXTY_FOUR_K, "linux real", quick=False),
    Line("af-xdp", "veth-own", FOUR_K, "veth-dpdk"),
    Line("af-xdp-busy-poll", "veth-own", FOUR_K, "veth-dpdk busy"),
]


def growth_lines():
    """How a packet's cost grows with each thing that there can be many of."""
    def named(axis, path, wye, window=ALL, peer=None):
        return [Line(f"growth/{axis}/{path}/{count}", wye.format(count), window or (0, count),
                     peer and peer.format(count), unit="ns") for count in growth.AXES[axis].points]
    return [*named("tenants", "wye", "tenants-{}"),
            *named("flows", "path-a", "route4", None, "l3fwd fib"),
            *named("flows", "path-b-geneve", "encap-geneve", None, "l3fwd fib"),
            *named("rules", "path-b-geneve", "encap-geneve-{}", SIXTY_FOUR_K),
            *named("routes", "path-a", "routes-{}", ALL, "l3fwd fib of-{}")]


LINES += growth_lines()


def is_growth(line):
    return line.name.startswith("growth/")


def only_by_name(line):
    """What a run of everything leaves out."""
    return is_growth(line) or line.name.startswith("af-xdp")


class Makers:
    """Applications by name. Templates and tables are files, made when first wanted."""

    def __init__(self, bench, flows, tenants=4096):
        self.bench, self.flows, self.small_tenants, self.chosen = bench, flows, tenants, {}

    def table(self, family):
        return self.bench.file(f"table{family}",
                               lambda: "\n".join(frames.real_table(family)) + "\n")

    def few(self, family=4):
        return self.bench.file(f"few{family}", lambda: "".join(
            f"10.{i}.0.0/16\n" if family == 4 else f"2001:db8:{i}::/48\n" for i in range(FEW)))

    def addresses(self, family):
        if family not in self.chosen:
            self.chosen[family] = frames.choose_addresses(frames.real_table(family), self.flows)
        return self.chosen[family]

    def some_routes(self, count):
        """(table, flows to its prefixes), of `count` of the real prefixes."""
        prefixes = random.Random(5).sample(frames.real_table(4), int(count))
        return (self.bench.file(f"table4-{count}", lambda: "\n".join(prefixes) + "\n"),
                self.bench.file(f"flows4-{count}", lambda: frames.flows4(
                    frames.choose_addresses(prefixes, FLOWS))))

    def flows4(self):
        return self.bench.file("flows4", lambda: frames.flows4(self.addresses(4)))

    def flows6(self):
        return self.bench.file("flows6", lambda: frames.flows6(self.addresses(6)[:FLOWS]))

    def flows_few(self):
        return self.bench.file("flows-few", lambda: frames.flows4(frames.choose_addresses(
            [f"10.{i}.0.0/16" for i in range(FEW)], 4096)))

    def frames_of_sizes(self):
        return self.bench.file("sizes", lambda: frames.of_sizes(SIZES, self.addresses(4), EACH))

    def make(self, name):
        kind, _, rest = name.partition("-")
        maker: Callable = {
            "route": self.route, "route4": self.route, "route6": self.route6, "encap": self.encap,
            "decap": self.decap, "tenants": self.tenants, "sizes": self.sizes,
            "one": self.workers, "two": self.workers, "testpmd io": self.testpmd,
            "testpmd io sizes": self.testpmd_sizes, "l3fwd fib": self.l3fwd,
            "l3fwd fib6": self.l3fwd6, "routes": self.routes, "l3fwd fib of": self.l3fwd_of,
            "ovs": self.open_vswitch, "linux": self.linux, "linux real": self.linux_real,
            "veth": self.veth}[kind]
        return maker(name, rest)

    def route(self, name, rest):
        table, template = (self.few(), self.flows_few()) if rest else (self.table(4), self.flows4())
        return peers.wye(self.bench, name, template, ["route", table], frames.check_routed)

    def routes(self, name, count):
        table, template = self.some_routes(count)
        return peers.wye(self.bench, name, template, ["route", table], frames.check_routed)

    def l3fwd_of(self, _, count):
        table, template = self.some_routes(count)
        return peers.l3fwd(self.bench, template, {4: table, 6: self.few(6)})

    def route6(self, name, _):
        return peers.wye(self.bench, name, self.flows6(), ["route", self.table(6)],
                         frames.check_routed)

    def workers(self, name, _):
        return peers.wye(self.bench, name, self.flows4(), ["route", self.table(4)],
                         frames.check_routed, workers=2 if name.startswith("two") else 1)

    def sizes(self, name, _):
        return peers.wye(self.bench, name, self.frames_of_sizes(),
                         ["route", self.table(4), 9216], frames.check_routed, mtu=9216)

    def encap(self, name, rest):
        kind, _, rules = rest.partition("-")
        return peers.wye(self.bench, name, self.flows4(),
                         ["encap", kind, self.table(4), rules or 100],
                         lambda sent: frames.check_encapsulated(sent, kind))

    def decap(self, name, kind):
        template = self.bench.file(f"tunnelled-{kind}", lambda: frames.tunnelled(
            kind, self.addresses(4)[:FLOWS]))
        return peers.wye(self.bench, name, template, ["decap", kind, self.table(4), 100],
                         frames.check_decapsulated, size=128)

    def tenants(self, name, rest):
        """tenants-N: N of them; tenants-one: one with as many routes as the 4096 have."""
        count = self.small_tenants if rest == "one" else int(rest)
        vrfs = 1 if rest == "one" else count
        template = self.bench.file(name, lambda: frames.tenants(count, vrfs, FLOWS))
        return peers.wye(self.bench, name, template, ["tenants", count, vrfs],
                         lambda sent: frames.check_routed(sent, tags=2))

    def testpmd(self, *_):
        return peers.testpmd(self.bench, self.flows_few())

    def testpmd_sizes(self, *_):
        return peers.testpmd(self.bench, self.frames_of_sizes(), buffer=9728)

    def l3fwd(self, *_):
        return peers.l3fwd(self.bench, self.flows4(), {4: self.table(4), 6: self.few(6)})

    def l3fwd6(self, *_):
        return peers.l3fwd(self.bench, self.flows6(), {4: self.few(4), 6: self.table(6)})

    def veth(self, _, port):
        return af_xdp.OnVeth(self.bench, port, self.flows_few(), self.few())

    def linux(self, *_):
        return linux_kernel.LinuxForwarding(self.bench, self.flows_few(), self.few())

    def linux_real(self, *_):
        return linux_kernel.LinuxForwarding(self.bench, self.flows4(), self.table(4))

    def open_vswitch(self, *_):
        return ovs.OpenVswitch(self.bench, self.flows4(), self.addresses(4)[:FOUR_K[1]])


def take_turns(line, bench, makers, results, rounds, seconds):
    """Adds to `results`, (runs of wye, runs of the peer), in Mpps."""
    ours = bench.application(line.wye, lambda: makers.make(line.wye))
    theirs = line.peer and bench.application(line.peer, lambda: makers.make(line.peer))
    for _ in range(rounds):
        if theirs:
            results[1].append(theirs.run(line.peer_window or line.window, seconds).mpps)
        results[0].append(ours.run(line.window, seconds).mpps)


def row_of(line, results, noise):
    ours, theirs = results
    if line.share:
        shares = [own / other for own, other in zip(ours, theirs)]
        return figures.row_of(line.name, f"of {line.peer}", shares, noise)
    if line.unit == "ns":
        ours, theirs = [1e3 / run for run in ours], [1e3 / run for run in theirs]
    if is_growth(line):
        noise *= 2  # a point of a curve
    peer = line.peer and line.peer.partition(" of-")[0]
    return figures.row_of(line.name, line.unit, ours, noise, peer, theirs if peer else None)


def measure_line(line, bench, makers, arguments):
    rounds, seconds = (3, 0.25) if arguments.quick else (5, 0.5) if is_growth(line) else (7, 1.0)
    print(f"bench: {line.name} …", file=sys.stderr, flush=True)
    results = [], []
    try:
        for _ in range(2 if is_growth(line) else figures.BATCHES):
            take_turns(line, bench, makers, results, rounds, seconds)
            row = row_of(line, results, arguments.noise)
            if row.value is not None:
                break
        return row
    except Missing as missing:
        return figures.Row(line.name, None, line.unit, peer=line.peer, why=str(missing))


def measure(folder, arguments, wanted):
    """Rows of the lines that are wanted, and what failed, in words."""
    lines = [line for line in LINES
             if wanted(line) and (line.quick or only_by_name(line) or not arguments.quick)]
    rows, failures = [], []
    try:
        with Workbench(folder, not arguments.no_hugepages) as bench:
            flows = MANY_FLOWS if any(line.window[1] > FLOWS for line in lines) else FLOWS
            makers = Makers(bench, flows)
            for number, line in enumerate(lines):
                try:
                    rows.append(measure_line(line, bench, makers, arguments))
                except (OSError, RuntimeError) as error:
                    failures.append(f"{line.name}: {error}")
                    rows.append(figures.Row(line.name, None, line.unit, peer=line.peer,
                                            why="it failed"))
                later = {name for other in lines[number + 1:] for name in (other.wye, other.peer)}
                for key in [key for key in bench.started if key not in later]:
                    bench.end(key)
    except Missing as missing:
        done = {row.name for row in rows}
        rows += [figures.Row(line.name, None, line.unit, peer=line.peer, why=str(missing))
                 for line in lines if line.name not in done]
    return rows, failures
