"""The measurements of RFC 2544 §26, and what later documents add: searches, and what is said of them.

Nothing here knows a generator: `Bench.trial` runs one trial, and all else decides which comes next. Rates
are frames a second, lengths frames, times seconds, losses parts of what was sent."""

import math
import statistics
import time
from dataclasses import asdict, dataclass, field

ETHERNET_GAP = 20  # bytes of preamble and gap that each frame takes beside itself (IEEE 802.3)


@dataclass
class Trial:
    """What a generator says of one run. `disturbed` says why it is not worth its name, if so."""

    rate: float
    seconds: float
    sent: int
    received: int
    disturbed: str = ""
    latency: dict | None = None  # microseconds: count, min, mean, p50, p90, p99, p99_9, max

    @property
    def lost(self):
        return max(0, self.sent - self.received)

    @property
    def loss(self):
        return self.lost / self.sent if self.sent else 1.0

    def as_json(self):
        return {**asdict(self), "loss": self.loss}


@dataclass
class Plan:
    """How much is done. RFC 2544 asks for trials of 60 s (§24), latency 20 times (§26.2), bursts of 2 s,
    50 times (§26.4; RFC 9004 §6.2 allows a shorter search)."""

    maximum: float
    minimum: float = 0.0           # 0: a thousandth of the maximum
    seconds: float = 60.0
    settle: float = 2.0            # §23: two seconds for what is under way …
    pause: float = 5.0             # … and five for the router, before the next trial
    resolution: float = 0.001      # of the maximum
    trials: int = 1                # at each rate
    forgiven: int = 0              # of these may fail
    verify: int = 1                # trials more at the rate that was found …
    verify_seconds: float = 60.0   # … so long
    repeats: int = 1               # searches; their spread is reported
    warm_up: float = 2.0           # seconds of a tenth of the maximum, before all else
    disturbed: int = 5             # times that a disturbed trial is tried again
    latency_repeats: int = 20
    fractions: tuple = (0.1, 0.5, 0.9, 1.0)
    burst_seconds: float = 2.0
    burst_repeats: int = 50

    def __post_init__(self):
        self.minimum = self.minimum or self.maximum / 1000


@dataclass
class Found:
    """The end of a search. `rate` is None when there is no such rate, and `why` says it."""

    rate: float | None
    why: str = ""
    trials: list = field(default_factory=list)

    def as_json(self):
        return {"rate": self.rate, "why": self.why, "trials": [trial.as_json() for trial in self.trials]}


class Disturbed(RuntimeError):
    """The generator never had the processor to itself for a whole trial."""


class Bench:
    """A generator, a plan, and a word to the user for each trial."""

    def __init__(self, generator, plan, say=lambda text: None):
        self.generator, self.plan, self.say = generator, plan, say
        self.repeated = 0  # trials that were disturbed

    def trial(self, rate, seconds=None, frames=None):
        """One that was not disturbed."""
        seconds = seconds or self.plan.seconds
        frames = frames or max(1, round(rate * seconds))
        for _ in range(self.plan.disturbed + 1):
            time.sleep(self.plan.pause)
            found = self.generator.run(rate, frames, self.plan.settle)
            self.say(f"{rate:14,.0f} /s  {frames:12,} frames  lost {found.lost:,} ({found.loss:.6f})"
                     + (f"  again: {found.disturbed}" if found.disturbed else ""))
            if not found.disturbed:
                return found
            self.repeated += 1
        raise Disturbed(f"{self.plan.disturbed + 1} trials at {rate:,.0f} frames/s were disturbed; the "
                        f"last: {found.disturbed}")

    def warm_up(self):
        """Traffic that is not counted: addresses are learnt (§23), caches and clocks warm."""
        if self.plan.warm_up <= 0:
            return None
        rate = self.plan.maximum / 10
        return self.generator.run(rate, max(1, round(rate * self.plan.warm_up)), self.plan.settle)


class Known:
    """What one search has measured, for the next one, which allows for more loss: it asks for the same
    rates, by halves of the same range, and judges the same trials. So it never finds less, nor measures
    twice what was measured. Trials that confirm are apart from those that search."""

    def __init__(self):
        self.trials = {}   # (rate, whether it confirms): those there were
        self.floor = None  # the rate that the search before found

    def at(self, rate, confirms):
        return self.trials.setdefault((rate, confirms), [])


def accepted(bench, rate, ratio, known, log, confirms=False):
    """Whether enough of some trials at a rate lose at most `ratio`. Stops as soon as that is known."""
    plan = bench.plan
    trials = plan.verify if confirms else plan.trials
    seconds = plan.verify_seconds if confirms else plan.seconds
    there, failed = known.at(rate, confirms), 0
    for done in range(trials):
        if done == len(there):
            there.append(bench.trial(rate, seconds))
        log.append(there[done])
        failed += there[done].loss > ratio
        if failed > plan.forgiven or done + 1 - failed >= trials - plan.forgiven:
            break
    return failed <= plan.forgiven


def throughput(bench, ratio, known=None):
    """The greatest rate at which at most `ratio` is lost; 0: RFC 2544 §26.1's throughput (NDR), else the
    partial drop rate (PDR). By halves, then confirmed by trials of their own. `known`: of searches for
    lower ratios, and of this one afterwards."""
    plan, log, known = bench.plan, [], known or Known()
    step = plan.resolution * plan.maximum
    if accepted(bench, plan.maximum, ratio, known, log):
        low = plan.maximum
    else:
        low, high, passed = plan.minimum, plan.maximum, False
        while high - low > step:
            middle = (low + high) / 2
            if accepted(bench, middle, ratio, known, log):
                low, passed = middle, True
            else:
                high = middle
        if not passed and not accepted(bench, low, ratio, known, log):
            return Found(None, f"more is lost even at {low:,.0f} frames/s, the least that was asked for",
                         log)
    found = confirmed(bench, ratio, low, step, known, log)
    known.floor = found.rate
    return found


def confirmed(bench, ratio, rate, step, known, log):
    """The rate, or the first below it whose longer trials are accepted. Steps double: a router that loses
    now and then at every rate has none. What was confirmed for less loss needs nothing more."""
    plan, first = bench.plan, rate
    if plan.verify == 0:
        return Found(rate, "not confirmed: no trials for it were asked for", log)
    while not accepted(bench, rate, ratio, known, log, confirms=True):
        rate -= step
        step *= 2
        if known.floor is not None:
            rate = max(rate, known.floor)
        if rate < plan.minimum:
            return Found(None, f"{first:,.0f} frames/s were found but not confirmed, nor anything lower: "
                               "frames are lost now and then at every rate", log)
    return Found(rate, "" if rate == first else
                 f"{first:,.0f} frames/s were found, and not confirmed", log)


def spread(values):
    """(least, median, most) of what searches found; Nones where any found nothing."""
    if any(value is None for value in values):
        return None, None, None
    return min(values), statistics.median(values), max(values)


def throughputs(bench, ratios):
    """{ratio, least, median, most, searches} of each ratio, in ascending order. A repeat searches for all
    ratios by what it has measured itself, so each figure of a higher ratio is at least as great, and
    repeats stay apart."""
    ratios = sorted(set(ratios))
    searches = {ratio: [] for ratio in ratios}
    for _ in range(bench.plan.repeats):
        known = Known()
        for ratio in ratios:
            searches[ratio].append(throughput(bench, ratio, known))
    rows = []
    for ratio in ratios:
        least, median, most = spread([found.rate for found in searches[ratio]])
        rows.append({"ratio": ratio, "least": least, "median": median, "most": most,
                     "searches": [found.as_json() for found in searches[ratio]]})
    return rows


def loss_rates(bench, steps=10):
    """§26.3: from the maximum down by tenths, until two trials in a row lose nothing."""
    rows, clean = [], 0
    for step in range(steps, 0, -1):
        found = bench.trial(bench.plan.maximum * step / steps)
        rows.append(found)
        clean = clean + 1 if found.lost == 0 else 0
        if clean == 2:
            break
    return [found.as_json() for found in rows]


def longest_burst(bench):
    """The longest run of frames at the maximum rate that is not shortened by one frame; None: not one."""
    rate = bench.plan.maximum
    low, high = 0, max(2, round(rate * bench.plan.burst_seconds))
    if bench.trial(rate, frames=high).lost == 0:
        return high, True
    while high - low > max(1, round(low * bench.plan.resolution)):
        middle = (low + high) // 2
        if bench.trial(rate, frames=middle).lost == 0:
            low = middle
        else:
            high = middle
    return low, False


def back_to_back(bench, ndr=None):
    """§26.4, with what RFC 9004 §6 makes of it: the mean of several searches, and the time that the
    router's buffers hold, corrected by what it forwards meanwhile (§6.3), if the throughput is known."""
    lengths, endless = [], 0
    for _ in range(bench.plan.burst_repeats):
        length, whole = longest_burst(bench)
        lengths.append(length)
        endless += whole
    mean = statistics.fmean(lengths)
    implied = mean / bench.plan.maximum
    corrected = None if ndr is None or endless else implied * (1 - ndr / bench.plan.maximum)
    return {"rate": bench.plan.maximum, "mean": mean, "least": min(lengths), "most": max(lengths),
            "deviation": statistics.stdev(lengths) if len(lengths) > 1 else 0.0,
            "searches": len(lengths), "unlimited": endless, "implied_seconds": implied,
            "corrected_seconds": corrected}


def latency(bench, ndr):
    """§26.2 with RFC 8219 §7.2's median and 99.9th percentile, at parts of the throughput. Each figure is
    the median of the repeats; `spread_mean` tells how far the means of the repeats lie apart."""
    rows = []
    for fraction in bench.plan.fractions:
        runs = [bench.trial(ndr * fraction) for _ in range(bench.plan.latency_repeats)]
        seen = [run.latency for run in runs if run.latency]
        row = {"fraction": fraction, "rate": ndr * fraction, "repeats": len(seen),
               "loss": max(run.loss for run in runs)}
        for key in ("min", "mean", "p50", "p90", "p99", "p99_9", "max") if seen else ():
            values = [one[key] for one in seen if one.get(key) is not None]
            row[key] = statistics.median(values) if values else None
        if seen:
            means = [one["mean"] for one in seen]
            row["spread_mean"] = [min(means), max(means)]
        rows.append(row)
    return rows


def line_rate(mbits, size):
    """Frames a second that fit on a link, of `size` bytes with their frame check sequence."""
    return mbits * 1e6 / (8 * (size + ETHERNET_GAP))


def trials_of(plan, tests, ratios):
    """Roughly how many trials a size takes, and how long, for a word to the user beforehand."""
    halves = math.ceil(math.log2(1 / plan.resolution)) + 1
    count, seconds = 0, 0.0

    def add(number, each):
        nonlocal count, seconds
        count += number
        seconds += number * (each + plan.settle / 2 + plan.pause)
    if "throughput" in tests or "latency" in tests:
        add(plan.repeats * len(ratios) * halves * plan.trials, plan.seconds)
        add(plan.repeats * len(ratios) * plan.verify, plan.verify_seconds)
    if "loss" in tests:
        add(6, plan.seconds)
    if "burst" in tests:
        add(plan.burst_repeats * halves, plan.burst_seconds / 2)
    if "latency" in tests:
        add(len(plan.fractions) * plan.latency_repeats, plan.seconds)
    return count, seconds
