#!/usr/bin/python3
"""Runs a command in a virtual machine that has what this machine's kernel and hardware lack: Debian's
kernel (VRF, GENEVE, 8021q, VFIO), an IOMMU, two SR-IOV NICs (igb: pf0, pf1), two NUMA nodes."""

import argparse
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from vmlab import machine, packages  # noqa: E402

EPILOG = """The guest's root is this machine's, read-only, with a file system in memory on top: what the
command writes is gone afterwards, but for what it puts into $WYE_VM_RESULTS. It runs in the folder that
the caller is in, with the caller's WYE_* variables. Its output and exit code are passed through; 124:
time was up, 125: the machine did not come up. Both NICs are on one wire. docs/virtual-lab.md says more.

examples:
  scripts/vm lspci -nn
  scripts/vm --results /tmp/out tests/virtual/test_lab.py"""


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/vm", description=__doc__, epilog=EPILOG,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=120, metavar="N",
                        help="end the machine after so many seconds (default: 120)")
    parser.add_argument("--memory", type=int, default=2560, metavar="MIB",
                        help="of the machine, in two nodes (default: 2560)")
    parser.add_argument("--results", type=Path, metavar="FOLDER",
                        default=Path(f"/tmp/wye-vm-results.{os.getuid()}"),
                        help="where $WYE_VM_RESULTS of the guest and its console.log end up "
                             "(default: %(default)s)")
    parser.add_argument("--verbose", action="store_true", help="say how long it took")
    parser.add_argument("--check", action="store_true",
                        help="only say whether the virtual lab is set up (exit 0 or 125)")
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="COMMAND …")
    arguments = parser.parse_args()
    try:
        found = packages.find()
        if arguments.check:
            return 0
        if os.geteuid() != 0:
            raise packages.LabMissing("run as root (the guest reads this machine's files as root)")
    except packages.LabMissing as missing:
        print(f"vm: {missing}", file=sys.stderr)
        return machine.FAILED
    if not arguments.command:
        parser.error("no COMMAND")
    return machine.run(found, machine.Wishes(arguments.command, arguments.results.resolve(),
                                             arguments.seconds, arguments.memory,
                                             arguments.verbose))


if __name__ == "__main__":
    sys.exit(main())
