#!/usr/bin/python3
"""One command: installs what is missing, builds, brings up two PoPs and shows that they work."""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]


def stage(title: str, command: list[str]) -> None:
    """A stage before the lab: its output is shown only if it fails."""
    begun = time.monotonic()
    print(f"  …   {title}", end="\r", flush=True)
    done = subprocess.run(command, cwd=TOP, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True)
    took = time.monotonic() - begun
    if done.returncode != 0:
        print(f"FAILED {title}: {' '.join(command)}\n{done.stdout[-4000:]}")
        sys.exit(1)
    print(f"  ok  {took:6.1f} s  {title}")


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/demo", description=__doc__,
        epilog="Exit 0: every step succeeded. The steps are in scripts/labkit/story.py.")
    parser.add_argument("--keep", action="store_true",
                        help="leave the lab up and print how to enter it (scripts/lab down ends it)")
    parser.add_argument("--no-setup", action="store_true", help="do not look for missing packages")
    parser.add_argument("--no-build", action="store_true", help="take the build as it is")
    parser.add_argument("--name", default="demo", help="of the lab (default: demo)")
    parser.add_argument("--step", action="append", metavar="STEP",
                        help="only this step, by function name (may be repeated)")
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        print("demo: run as root (packages are installed, network namespaces are made)",
              file=sys.stderr)
        return 1

    if not arguments.no_setup:
        stage("what is needed is installed", ["scripts/setup"])
    if not arguments.no_build:
        stage("wye is built", ["scripts/build"])

    sys.path.insert(0, str(TOP / "scripts"))
    from labkit.places import Lab, LabError
    from labkit.story import tell
    from labkit.topology import Topology

    begun = time.monotonic()
    lab = Lab(arguments.name)
    lab.down()  # what a demo that was interrupted left

    def say(number, title, good, seconds, text):
        print(f"{'  ok  ' if good else 'FAILED'}{seconds:6.1f} s  {number:2}. {title}\n"
              f"                  {text}", flush=True)

    failures = 1
    try:
        Topology(lab).up()
        print(f"  ok  {time.monotonic() - begun:6.1f} s   0. two PoPs, two carriers, four hosts "
              "and FRR are up")
        failures = tell(lab, say, arguments.step)
    except LabError as error:
        print(f"FAILED  the lab does not come up: {error}")
    finally:
        if not arguments.keep:
            lab.down()
    print(f"{'all steps passed' if failures == 0 else f'{failures} steps FAILED'} "
          f"in {time.monotonic() - begun:.1f} s; logs in {lab.logs}")
    if arguments.keep:
        prefix = f"scripts/lab --name {lab.name}"
        print(f"""
The lab is up. To look around:
  {prefix} exec a vtysh                        routes of PoP A (b: of PoP B)
  {prefix} exec a wyectl show routes           what the fast path holds
  {prefix} exec a wyectl show drops            why packets were dropped
  {prefix} exec red-host-a ping 10.2.0.10      a host of tenant red at site A
  {prefix} exec blue-host-b bash               a host of tenant blue at site B
To end it: {prefix} down""")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
