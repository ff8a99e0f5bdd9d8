#!/usr/bin/python3
"""Static instruction counts of the code for AVX-512, which callgrind cannot run (count_instructions.py).

All functions of the given objects and libraries that use a 512-bit or a mask register are counted, each
instruction once, as objdump shows them. Compares with bench/pipeline/avx512.json, and fails when a
function has grown by more than 5 %, and by four at least, naming it; --write records what is counted
now, which belongs into the commit that changes it, with its reason.

usage: count_avx512.py OBJECT… [--write]        exit: 0 well, 1 grown, 77 cannot be counted"""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

sys.dont_write_bytecode = True

import count_instructions  # noqa: E402

RECORD = Path(__file__).resolve().parent / "avx512.json"
LEAST = 4
OBJECT = re.compile(r"(\S+)\.o:\s+file format")
FUNCTION = re.compile(r"[0-9a-f]+ <(.+)>:$")
INSTRUCTION = re.compile(r"\s+[0-9a-f]+:\t\S")
AVX512 = re.compile(r"%zmm|%k[0-7]")
SIGNATURE = re.compile(r"(?:[\w:]+ )?([\w:~]+(?:<.*>)?(?:::[\w~]+)*)\(")


def name_of(demangled):
    """match_burst<Simd, 6ul>, without namespaces, arguments, what it returns; parts that the compiler
    has split off keep their mark ([clone .cold])."""
    clone = re.search(r"\[clone .*\]", demangled)
    text = re.sub(r"\b(?:wye::)(?:\w+::)*", "", demangled.replace("(anonymous namespace)::", ""))
    match = SIGNATURE.match(text)
    return (match[1] if match else text.split(" [clone")[0]) + (f" {clone[0]}" if clone else "")


def read_objdump(text):
    """{object: {function: instructions}}, of those that are for AVX-512."""
    counts, uses = {}, set()
    here = ("", "")
    for line in text.splitlines():
        header, function = OBJECT.match(line), FUNCTION.match(line)
        if header:
            here = (Path(header[1]).name.removesuffix(".cc"), "")
        elif function:
            here = (here[0], name_of(function[1]))
        elif INSTRUCTION.match(line):
            counts[here] = counts.get(here, 0) + 1
            if AVX512.search(line):
                uses.add(here)
    found = {}
    for file, function in sorted(uses):
        found.setdefault(file, {})[function] = counts[file, function]
    return found


def main():
    objects = [word for word in sys.argv[1:] if word != "--write"]
    if not objects:
        print(__doc__, file=sys.stderr)
        return 2
    if not shutil.which("objdump"):
        print("skipped: objdump is not installed (package binutils)")
        return count_instructions.SKIPPED
    recorded = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    compiler, write = count_instructions.compiler(), "--write" in sys.argv
    if not write and recorded.get("compiler") != compiler:
        print(f"skipped: recorded with g++ {recorded.get('compiler')}, this is {compiler}")
        return count_instructions.SKIPPED
    counted = read_objdump(subprocess.run(
        ["objdump", "-d", "-C", "--no-show-raw-insn", *objects], check=True,
        stdout=subprocess.PIPE, text=True).stdout)
    for file, functions in counted.items():
        for function, count in functions.items():
            print(f"{file}: {function}: {count} instructions")
    if write:
        RECORD.write_text(json.dumps({"compiler": compiler, "files": counted}, indent=2) + "\n")
        return 0
    grown = count_instructions.compare(recorded["files"], counted, LEAST, "instructions")
    for line in grown:
        print(f"FAILED: {line}")
    return 1 if grown else 0


if __name__ == "__main__":
    sys.exit(main())
