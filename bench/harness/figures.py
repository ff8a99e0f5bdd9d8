"""Medians, spreads, ratios, and the rows that scripts/bench prints."""

import os
import platform
import statistics
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Optional


@dataclass
class Row:
    """One figure. `value` is None when it was not measured, and `why` then says why."""

    name: str
    value: Optional[float]
    unit: str
    spread: Optional[float] = None
    runs: int = 0
    peer: Optional[str] = None
    peer_value: Optional[float] = None
    ratio: Optional[float] = None
    must: Optional[float] = None  # these three where bench/targets.json has the row
    goal: Optional[float] = None
    met: Optional[bool] = None    # the must; what is not measured is not met
    why: str = ""

    def as_json(self):
        return asdict(self)


def spread_of(runs):
    """Distance between the quartiles as a part of the median."""
    if len(runs) < 2:
        return 0.0
    first, _, third = statistics.quantiles(runs, n=4, method="inclusive")
    middle = statistics.median(runs)
    return (third - first) / middle if middle else float("inf")


BATCHES = 3  # so many times the runs of a row are made, if the row is too noisy without


def row_of(name, unit, runs, noise, peer=None, peer_runs=None):
    """The median of the runs; beside a peer also the median of the ratios of neighbouring runs, whose
    spread then decides whether anything was measured: what slows both is not noise."""
    if not runs:
        return Row(name, None, unit, peer=peer, why="no run succeeded")
    row = Row(name, statistics.median(runs), unit, spread_of(runs), len(runs), peer)
    if peer is not None:
        if not peer_runs:
            return Row(name, None, unit, row.spread, row.runs, peer, why="the peer was not measured")
        ratios = [ours / theirs for ours, theirs in zip(runs, peer_runs)]
        row.peer_value = statistics.median(peer_runs)
        row.ratio = statistics.median(ratios)
        if spread_of(ratios) > noise:
            row.why = f"too noisy: the ratio to {peer} spreads by {spread_of(ratios):.0%}"
    elif row.spread > noise:
        row.why = f"too noisy: the runs spread by {row.spread:.0%}"
    if row.why:
        row.value = row.peer_value = row.ratio = None
    return row


def caches():
    """{"L1d": bytes, "L2": …} of the CPU that the worker has; empty where the kernel does not say."""
    found = {}
    for index in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, kind, size = ((index / name).read_text().strip() for name in ("level", "type", "size"))
        if kind != "Instruction":
            found[f"L{level}" + ("d" if kind == "Data" else "")] = int(size.rstrip("K")) * 1024
    return found


def machine():
    """What the figures are worth nothing without."""
    model = ""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return {"processor": model, "cpus": len(os.sched_getaffinity(0)),
            "kernel": platform.release(), "load": os.getloadavg()[0], "caches": caches()}


def format_value(value):
    return "-" if value is None else f"{value:.3g}" if value < 100 else f"{value:.0f}"


def print_table(rows):
    width = max([len(row.name) for row in rows] + [4])
    print(f"{'name':{width}}  {'value':>8} {'unit':8} {'spread':>6} {'runs':>4}  peer")
    for row in rows:
        spread = "-" if row.spread is None else f"{row.spread:.0%}"
        line = (f"{row.name:{width}}  {format_value(row.value):>8} {row.unit:8} {spread:>6} "
                f"{row.runs:>4}")
        if row.ratio is not None:
            line += f"  {row.peer} {format_value(row.peer_value)}, ratio {row.ratio:.3f}"
        if row.must is not None and row.must < 1e9:  # beyond: it is to work
            line += f"  must {row.must:g}, goal {row.goal:g}: {'met' if row.met else 'NOT MET'}"
        if row.why:
            line += f"  not measured: {row.why}"
        print(line)
