"""The Google Benchmark programs, as meson lists them.

Runs are repetitions, which Google Benchmark interleaves at random. A benchmark NAME/pairs:PEER measures
two things by turns (bench/table/pairs.hh), and each of its repetitions is a pair of neighbouring runs;
there are many of them, short ones, and more where they are too noisy."""

import json
import re
import subprocess
import sys
from dataclasses import dataclass, field

import figures

NANOSECONDS = {"ns": 1, "us": 1e3, "ms": 1e6, "s": 1e9}
# Of Google Benchmark's own in an entry; the other numbers are counters of the program.
KNOWN = {"name", "run_name", "run_type", "family_index", "per_family_instance_index", "repetitions",
         "repetition_index", "threads", "iterations", "real_time", "cpu_time", "time_unit",
         "items_per_second", "label"}


@dataclass
class Result:
    """Of each repetition, in order."""

    nanoseconds: list = field(default_factory=list)  # for an item, or an iteration without items
    iterations: list = field(default_factory=list)   # ns for an iteration
    counters: dict = field(default_factory=dict)
    counts_items: bool = False
    unit: str = "ns"
    error: str = ""

    def pairs(self):
        """(runs, runs of the peer) of a benchmark of pairs."""
        return self.counters.get("ns", []), self.counters.get("peer_ns", [])


def programs(folder):
    """{meson name: command}."""
    listed = subprocess.run(["meson", "introspect", "--benchmarks", str(folder)], check=True,
                            stdout=subprocess.PIPE, text=True).stdout
    return {entry["name"]: entry["cmd"] for entry in json.loads(listed)}


def read_entry(result, entry):
    if entry.get("error_occurred"):
        result.error = entry.get("error_message") or "it failed"
        return
    iteration = entry["cpu_time"] * NANOSECONDS[entry["time_unit"]]
    result.unit = entry["time_unit"]
    result.iterations.append(iteration)
    result.counts_items = "items_per_second" in entry
    result.nanoseconds.append(1e9 / entry["items_per_second"] if result.counts_items else iteration)
    for key, value in entry.items():
        if key not in KNOWN and isinstance(value, (int, float)):
            result.counters.setdefault(key, []).append(value)


def peer_in_pairs(benchmark):
    """PEER of NAME/pairs:PEER, or None."""
    return benchmark.partition("/pairs:")[2] or None


def listed(command, only):
    """Names of the program's benchmarks, those of pairs apart: (others, pairs)."""
    done = subprocess.run([*command, "--benchmark_list_tests=true",
                           *([f"--benchmark_filter={only}"] if only else [])],
                          check=True, stdout=subprocess.PIPE, text=True)
    names = done.stdout.split()
    return ([name for name in names if not peer_in_pairs(name)],
            [name for name in names if peer_in_pairs(name)])


def exactly(names):
    """A POSIX extended regular expression."""
    return "^(" + "|".join(re.sub(r"([.+*?^$(){}|\[\]\\])", r"\\\1", name) for name in names) + ")$"


def repeat(command, names, repetitions, least, results):
    """Adds the runs of the named benchmarks to `results`, {benchmark: Result}."""
    if not names:
        return
    done = subprocess.run(
        [*command, "--benchmark_format=json", f"--benchmark_repetitions={repetitions}",
         f"--benchmark_min_time={least}", "--benchmark_enable_random_interleaving=true",
         f"--benchmark_filter={exactly(names)}"],
        check=True, stdout=subprocess.PIPE, text=True)
    for entry in json.loads(done.stdout or '{"benchmarks": []}')["benchmarks"]:
        if entry.get("run_type") == "iteration":
            read_entry(results.setdefault(entry["run_name"], Result()), entry)


def repeat_pairs(command, names, repetitions, noise, results):
    """Again where they are too noisy, a bounded number of times."""
    for _ in range(figures.BATCHES):
        repeat(command, names, repetitions, "0.001", results)
        names = [name for name in names
                 if not results[name].error and row_of_pairs(name, results[name], noise).value is None]


def run(command, quick, only, noise):
    """{benchmark: Result}. `only`: a regular expression, or None for all."""
    alone, pairs = listed(command, only)
    results = {}
    repeat(command, alone, *((3, "0.05") if quick else (9, "0.2")), results)
    repeat_pairs(command, pairs, 5 if quick else 25, noise, results)
    return results


def row_of_pairs(name, result, noise, unit="ns"):
    return figures.row_of(name, unit, result.pairs()[0], noise, peer_in_pairs(name), result.pairs()[1])


def measure(name, command, arguments, only=None):
    print(f"bench: {name} …", file=sys.stderr, flush=True)
    return run(command, arguments.quick, only, arguments.noise)


def rows(name, results, noise):
    """A row for each benchmark: items/s where it counts items, else its time; of pairs, the time for an
    item beside the peer's."""
    made = []
    for benchmark, result in sorted(results.items()):
        if result.error:
            made.append(figures.Row(f"{name}/{benchmark}", None, "M/s", why=result.error))
        elif peer_in_pairs(benchmark):
            made.append(row_of_pairs(f"{name}/{benchmark}", result, noise))
        elif result.counts_items:
            made.append(figures.row_of(f"{name}/{benchmark}", "M/s",
                                       [1e3 / ns for ns in result.nanoseconds], noise))
        else:
            made.append(figures.row_of(f"{name}/{benchmark}", result.unit,
                                       [ns / NANOSECONDS[result.unit] for ns in result.iterations],
                                       noise))
    return made
