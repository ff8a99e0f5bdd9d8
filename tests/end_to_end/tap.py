"""The Test Anything Protocol, as meson reads it: a line a test, diagnostics behind '#'."""

from __future__ import annotations

import os
import sys
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from labkit import ledger  # noqa: E402
from labkit.places import Lab, LabError  # noqa: E402
from labkit.topology import POPS, Topology  # noqa: E402

_count = 0
_failed = 0


def report(good: bool, name: str, text: str = "") -> None:
    global _count, _failed
    _count += 1
    _failed += not good
    print(f"{'ok' if good else 'not ok'} {_count} - {name}", flush=True)
    for line in (text or "").splitlines():
        print(f"# {line}", flush=True)


def case(name: str, function, *arguments):
    """Runs one test; its return value, or None if it failed. Any exception is a failure."""
    begun = time.monotonic()
    try:
        text = function(*arguments)
        report(True, name, f"{time.monotonic() - begun:.1f} s {text or ''}")
        return text if text is not None else True
    except Exception as error:  # a test's failure, whatever it is, must not end the others
        detail = "" if isinstance(error, LabError) else "\n" + traceback.format_exc()
        report(False, name, f"{type(error).__name__}: {error}{detail}")
        return None


def balanced(topology: Topology, pops=POPS) -> str:
    """The ledger of every row of these PoPs, when traffic has come to rest."""
    faults = ledger.check(topology, pops)
    if faults:
        raise LabError("; ".join(faults))
    return "balanced"


def finish() -> None:
    print(f"1..{_count}", flush=True)
    sys.exit(1 if _failed else 0)


def need_root() -> None:
    if os.geteuid() != 0:
        print("1..0 # SKIP needs root: network namespaces are made")
        sys.exit(0)


class FreshLab:
    """A lab for the duration of a with block."""

    def __init__(self, name: str, make=Topology, **options) -> None:
        self.lab = Lab(name)
        self.topology = make(self.lab)
        if "conf" in options:
            self.topology.conf = options.pop("conf")
        self.options = options

    def __enter__(self):
        need_root()
        self.lab.down()
        try:
            self.topology.up(**self.options)
        except LabError as error:
            report(False, "the lab comes up", f"{error}\n{self.tail_of_logs()}")
            finish()
        return self

    def __exit__(self, kind, error, trace):
        if _failed or kind is not None:
            for line in self.tail_of_logs().splitlines():
                print(f"# {line}")
        self.lab.down()

    def tail_of_logs(self) -> str:
        parts = []
        for log in sorted(self.lab.logs.glob("*-shim.log")) + sorted(
                self.lab.logs.glob("*-dataplane.log")):
            parts.append(f"--- {log.name}\n" + "\n".join(log.read_text().splitlines()[-12:]))
        return "\n".join(parts)
