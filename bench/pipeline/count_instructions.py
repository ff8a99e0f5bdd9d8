#!/usr/bin/python3
"""Instructions per packet, by step: callgrind on count_path, a fixed number of fixed packets.

A step is a source file: inlined code counts for the file it was written in. Only what happens inside
the pipeline's entry points is counted. Compares with bench/pipeline/instructions.json, and fails
when a step or a path has grown by more than 5 %, naming it; --write records what is counted now,
which belongs into the commit that changes it, with its reason. Valgrind hides AVX-512, so these are
the AVX2 variants'; the code for AVX-512 is counted by count_avx512.py.

usage: count_instructions.py COUNT_PATH [--write]        exit: 0 well, 1 grown, 77 cannot be counted"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

RECORD = Path(__file__).resolve().parent / "instructions.json"
PATHS = ["route", "route6", "route-acl", "encap-geneve", "encap-vxlan", "decap-geneve", "decap-vxlan"]
ENTRIES = ["run_from_port", "book_transmitted"]
BURSTS, BURST = 256, 32  # all 4096 flows, twice
GROWTH, LEAST = 1.05, 1.0  # a step must grow by an instruction, too: the small ones are not worth it
SKIPPED = 77


def step_of(path):
    """dataplane/pipeline/rewrite for its .cc and its .hh; None for what is not ours."""
    match = re.search(r"(?:^|/)(dataplane/.+)\.(?:cc|hh)$", path)
    return match and match[1]


def read_callgrind(text):
    """{step: instructions}, from a file without compressed names."""
    counts, step, function, called = {}, "other", "other", False
    for line in text.splitlines():
        if line.startswith("fl="):
            step = function = step_of(line[3:]) or "other"
        elif line.startswith(("fi=", "fe=")):
            # What a standard header has inlined belongs to the file of the function that it ended in.
            step = step_of(line[3:]) or function
        elif line.startswith("calls="):
            called = True  # the next line is the callee's
        elif re.match(r"[0-9*+-]", line):
            if not called:
                counts[step] = counts.get(step, 0) + int(line.split()[1])
            called = False
    return counts


def count(program, path, folder):
    """{step: instructions per packet}."""
    output = Path(folder) / path
    subprocess.run(
        ["valgrind", "--tool=callgrind", f"--callgrind-out-file={output}", "--compress-strings=no",
         "--compress-pos=no", *(f"--toggle-collect=wye::pipeline::{name}*" for name in ENTRIES),
         program, path, str(BURSTS)],
        check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    counts = {step: total / (BURSTS * BURST)
              for step, total in read_callgrind(output.read_text()).items()}
    return {"total": round(sum(counts.values()), 1),
            **{step: round(value, 1) for step, value in sorted(counts.items()) if value >= 0.05}}


def compiler():
    return subprocess.run(["g++", "-dumpfullversion"], stdout=subprocess.PIPE, text=True).stdout.strip()


def compare(recorded, counted, least=LEAST, unit="instructions per packet"):
    """What has grown, in words; what has shrunk is only said."""
    grown = []
    for path, steps in counted.items():
        before = recorded.get(path, {})
        for step, value in steps.items():
            old = before.get(step, 0.0)
            if value > old * GROWTH and value - old >= least:
                grown.append(f"{path}: {step} has grown from {old} to {value} {unit}")
            elif value * GROWTH < old and old - value >= least:
                print(f"{path}: {step} has shrunk from {old} to {value}; record it with --write")
    return grown


def main():
    words = [word for word in sys.argv[1:] if word != "--write"]
    if len(words) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    if not shutil.which("valgrind"):
        print("skipped: valgrind is not installed (scripts/setup)")
        return SKIPPED
    recorded = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    write = "--write" in sys.argv
    if not write and recorded.get("compiler") != compiler():
        print(f"skipped: recorded with g++ {recorded.get('compiler')}, this is {compiler()}")
        return SKIPPED
    if "avx2" not in Path("/proc/cpuinfo").read_text():
        print("skipped: this machine has no AVX2")
        return SKIPPED
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(2) as pool:
        counted = dict(zip(PATHS, pool.map(lambda path: count(words[0], path, folder), PATHS)))
    for path, steps in counted.items():
        print(f"{path}: {steps['total']} instructions per packet")
    if write:
        RECORD.write_text(json.dumps({"compiler": compiler(), "paths": counted}, indent=2) + "\n")
        return 0
    grown = compare(recorded["paths"], counted)
    for line in grown:
        print(f"FAILED: {line}")
    return 1 if grown else 0


if __name__ == "__main__":
    sys.exit(main())
