"""bench/targets.json: what the rows are judged by, and which figures of the parts make them."""

import json
import re
import statistics
from pathlib import Path

import figures
import parts

FILE = Path(__file__).resolve().parents[1] / "targets.json"


def load():
    return {target["name"]: target for target in json.loads(FILE.read_text())["targets"]}


def keeps(target, row, bound):
    """Whether the row keeps `bound`, which is target["must"] or target["goal"]."""
    figure = row.ratio if target["judged"] == "ratio" else row.value
    if row.value is None or figure is None:
        return False
    return figure >= bound if target["sense"] == "at_least" else figure <= bound


def judge(rows, targets):
    """Fills in must, goal and met of the rows that have a target."""
    for row in rows:
        target = targets.get(row.name)
        if target:
            row.must, row.goal = target["must"], target["goal"]
            row.met = keeps(target, row, row.must)


def figures_of(result, source):
    """The runs of one benchmark, as the target wants them; None if it does not have the counter."""
    measure, scale = source["measure"], source.get("scale", 1)
    if measure == "time":
        return [ns / scale for ns in result.nanoseconds]
    if measure == "rate":
        return [1e3 / ns for ns in result.nanoseconds]
    if measure == "ms":
        return [ns / 1e6 for ns in result.iterations]
    runs = result.counters.get(measure)
    return runs and [run / scale for run in runs]


def peer_of(name, match, source, results):
    """(name of the peer, its benchmark) or (None, None)."""
    if "peer" in source:
        wanted = match.expand(source["peer"])
        return (wanted, wanted) if wanted in results else (None, None)
    for other in results:
        if other.startswith(f"{name}/peer:"):
            return other.rpartition(":")[2], other
    return None, None


def from_pairs(target, name, results, noise):
    """The row of the benchmark that measures this one and its peer by turns; None if there is none."""
    if target["judged"] != "ratio" or target["from"]["measure"] != "time":
        return None
    for other, result in results.items():
        if not other.startswith(f"{name}/pairs:"):
            continue
        row = parts.row_of_pairs(other, result, noise, target["unit"])
        row.name, row.why = target["name"], result.error or row.why
        return row
    return None


def candidate(target, name, match, results, noise):
    source = target["from"]
    paired = from_pairs(target, name, results, noise)
    if paired:
        return paired
    runs = figures_of(results[name], source)
    if not runs:
        return None
    if target["judged"] == "value":
        return figures.row_of(target["name"], target["unit"], runs, noise)
    peer, benchmark = peer_of(name, match, source, results)
    peer_runs = figures_of(results[benchmark], source) if benchmark else []
    # Google Benchmark shuffles repetitions: neighbours are not known, so the ratio is of medians.
    row = figures.row_of(target["name"], target["unit"], runs, noise, peer or "peer",
                         peer_runs and [statistics.median(peer_runs)] * len(runs))
    if peer_runs and figures.spread_of(peer_runs) > noise:
        row.value = row.peer_value = row.ratio = None
        row.why = f"too noisy: the runs of {peer} spread by {figures.spread_of(peer_runs):.0%}"
    return row


def worst(target, rows):
    """One that was not measured is the worst."""
    def badness(row):
        figure = row.ratio if target["judged"] == "ratio" else row.value
        if row.value is None or figure is None:
            return float("inf")
        return figure if target["sense"] == "at_most" else -figure
    return max(rows, key=badness)


def row_from_parts(target, results, noise):
    """The target's row from the benchmarks of its program; `results` is None if there is none."""
    source = target["from"]
    missing = figures.Row(target["name"], None, target["unit"])
    if results is None:
        missing.why = f"there is no program {source['program']} yet"
        return missing
    found = []
    for name in results:
        match = re.fullmatch(source["row"], name)
        row = match and candidate(target, name, match, results, noise)
        if row:
            found.append(row)
    if found:
        return worst(target, found)
    missing.why = f"{source['program']} does not measure it yet"
    return missing


def wanted_of(program, targets):
    """A regular expression for the benchmarks that targets want of the program; None: none."""
    words = []
    for target in targets.values():
        source = target.get("from")
        if source and source["program"] == program:
            words.append(f"{source['row']}(/(peer|pairs):.*)?")
            if "peer" in source:
                words.append(re.sub(r"\\1", "[a-z]+", source["peer"]))
    return "|".join(f"^({word})$" for word in words) or None
