"""The Google Benchmark programs, as meson lists them.

Runs are repetitions, which Google Benchmark interleaves at random."""

import json
import subprocess
import sys

import figures


def programs(folder):
    """{meson name: command}."""
    listed = subprocess.run(["meson", "introspect", "--benchmarks", str(folder)], check=True,
                            stdout=subprocess.PIPE, text=True).stdout
    return {entry["name"]: entry["cmd"] for entry in json.loads(listed)}


def run(command, quick):
    """{benchmark: ([value of each repetition], unit)}: items/s where it counts items, else time."""
    repetitions, least = (3, "0.05") if quick else (9, "0.2")
    done = subprocess.run(
        [*command, "--benchmark_format=json", f"--benchmark_repetitions={repetitions}",
         f"--benchmark_min_time={least}", "--benchmark_enable_random_interleaving=true"],
        check=True, stdout=subprocess.PIPE, text=True)
    results = {}
    for entry in json.loads(done.stdout)["benchmarks"]:
        if entry.get("run_type") != "iteration":
            continue
        if entry.get("error_occurred"):
            raise RuntimeError(f"{entry['run_name']}: {entry.get('error_message')}")
        if "items_per_second" in entry:
            value, unit = entry["items_per_second"] / 1e6, "M/s"
        else:
            value, unit = entry["cpu_time"], entry["time_unit"]
        results.setdefault(entry["run_name"], ([], unit))[0].append(value)
    return results


def measure(name, command, arguments):
    print(f"bench: {name} …", file=sys.stderr, flush=True)
    results = run(command, arguments.quick)
    return [figures.row_of(f"{name}/{benchmark}", unit, values, arguments.noise)
            for benchmark, (values, unit) in sorted(results.items())]
