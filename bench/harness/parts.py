"""The Google Benchmark programs, as meson lists them.

Runs are repetitions, which Google Benchmark interleaves at random."""

import json
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


def run(command, quick, only):
    """{benchmark: Result}. `only`: a regular expression, or None for all."""
    repetitions, least = (3, "0.05") if quick else (9, "0.2")
    done = subprocess.run(
        [*command, "--benchmark_format=json", f"--benchmark_repetitions={repetitions}",
         f"--benchmark_min_time={least}", "--benchmark_enable_random_interleaving=true",
         *([f"--benchmark_filter={only}"] if only else [])],
        check=True, stdout=subprocess.PIPE, text=True)
    results = {}
    for entry in json.loads(done.stdout or '{"benchmarks": []}')["benchmarks"]:
        if entry.get("run_type") == "iteration":
            read_entry(results.setdefault(entry["run_name"], Result()), entry)
    return results


def measure(name, command, arguments, only=None):
    print(f"bench: {name} …", file=sys.stderr, flush=True)
    return run(command, arguments.quick, only)


def rows(name, results, noise):
    """A row for each benchmark: items/s where it counts items, else its time."""
    made = []
    for benchmark, result in sorted(results.items()):
        if result.error:
            made.append(figures.Row(f"{name}/{benchmark}", None, "M/s", why=result.error))
        elif result.counts_items:
            made.append(figures.row_of(f"{name}/{benchmark}", "M/s",
                                       [1e3 / ns for ns in result.nanoseconds], noise))
        else:
            made.append(figures.row_of(f"{name}/{benchmark}", result.unit,
                                       [ns / NANOSECONDS[result.unit] for ns in result.iterations],
                                       noise))
    return made
