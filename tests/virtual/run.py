#!/usr/bin/python3
"""Runs a test in the virtual lab: run.py TEST (in the guest) or run.py --outside TEST (it starts guests
itself). Without WYE_TEST_VM=1, which scripts/test --vm sets, the test is skipped."""

import os
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
# A scenario takes at most two minutes; more only where the machine is busy with something else.
SECONDS = 360


def main() -> None:
    *options, test = sys.argv[1:]
    if os.environ.get("WYE_TEST_VM") != "1":
        print("1..0 # SKIP needs the virtual lab: scripts/setup --vm, scripts/test --vm")
        return
    words = [test]
    if "--outside" not in options:
        results = Path(os.environ["WYE_BUILD"]) / "virtual" / Path(test).stem
        words = [str(TOP / "scripts" / "vm"), "--seconds", str(SECONDS), "--verbose",
                 "--results", str(results), test]
    os.chdir(TOP)
    os.execv(words[0], words)


main()
