#!/usr/bin/python3
"""Installs what is missing, builds, and runs every test. Ends with a line N passed, N failed."""

import argparse
import json
import os
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]

SANITIZERS = {
    # build folder suffix: (meson options, suites)
    "asan": (["-Db_sanitize=address,undefined"], ["unit", "wire", "fuzz"]),
    "tsan": (["-Db_sanitize=thread"], ["threads"]),
}
# Shared libraries leave the sanitizer's symbols to the program. -O1: half the time to compile, and
# stack traces with all their frames.
SANITIZED = ["-Db_lundef=false", "-Doptimization=1"]


class Tally:
    def __init__(self) -> None:
        self.passed = self.failed = self.skipped = 0
        self.failures: list[str] = []
        self.skips: list[str] = []

    def add(self, name: str, result: str, text: str = "") -> None:
        if result == "failed":
            self.failed += 1
            self.failures.append(f"{name}{': ' + text if text else ''}")
        elif result == "skipped":
            self.skipped += 1
            self.skips.append(f"{name}{': ' + text if text else ''}")
        else:
            self.passed += 1


def run(title: str, command: list[str], environment: dict | None = None) -> bool:
    """A stage: output only if it fails."""
    begun = time.monotonic()
    print(f"test: {title} …", flush=True)
    done = subprocess.run(command, cwd=TOP, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, env={**os.environ, **(environment or {})})
    print(f"test: {title}: {'ok' if done.returncode == 0 else 'FAILED'} "
          f"({time.monotonic() - begun:.1f} s)", flush=True)
    if done.returncode != 0:
        print(done.stdout[-6000:])
    return done.returncode == 0


def reason_of(case: ElementTree.Element) -> str:
    """Why a whole TAP program was skipped: meson leaves that in its output."""
    _, _, reason = (case.findtext("system-out") or "").partition("# SKIP ")
    return reason.strip().partition("\n")[0]


def read_results(log: Path, tally: Tally) -> None:
    """Adds the cases of meson's JUnit file; a program without cases counts as one."""
    if not log.exists():
        tally.add(str(log), "failed", "the runner wrote no results")
        return
    for suite in ElementTree.parse(log).getroot().iter("testsuite"):
        for case in suite.iter("testcase"):
            name = f"{suite.get('name')} {case.get('name')}"
            failure = case.find("failure")
            if failure is None:
                failure = case.find("error")
            skipped = case.find("skipped")
            if failure is not None:
                tally.add(name, "failed", (failure.get("message") or failure.text or "")[:600])
            elif skipped is not None:
                tally.add(name, "skipped", skipped.get("message") or reason_of(case))
            else:
                tally.add(name, "passed")


def meson_tests(folder: Path, log: str, words: list[str], tally: Tally, title: str) -> None:
    begun = time.monotonic()
    print(f"test: {title} …", flush=True)
    for old in (folder / "meson-logs").glob(f"{log}*"):
        old.unlink()
    environment = {**os.environ, "WYE_BUILD": str(folder),
                   "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0",
                   "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
                   "TSAN_OPTIONS": "halt_on_error=1"}
    process = subprocess.Popen(["meson", "test", "-C", str(folder), "--no-rebuild", "--logbase",
                                log, "--print-errorlogs", *words],
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                               env=environment)
    for line in process.stdout:
        if line.strip() and not line.startswith("ninja:"):
            print(f"  {line.rstrip()}", flush=True)
    process.wait()
    read_results(folder / "meson-logs" / f"{log}.junit.xml", tally)
    print(f"test: {title}: {time.monotonic() - begun:.1f} s", flush=True)


def needed_by(folder: Path, suites: list[str]) -> list[str]:
    """The targets that the tests of these suites run."""
    def introspect(what: str) -> list[dict]:
        return json.loads((folder / "meson-info" / f"intro-{what}.json").read_text())
    needed = {target for case in introspect("tests") for target in case["depends"]
              if set(suites) & {suite.rpartition(":")[2] for suite in case["suite"]}}
    return [str(Path(target["filename"][0]).relative_to(folder)) for target in introspect("targets")
            if target["id"] in needed]


def build(folder: Path, options: list[str], tally: Tally, suites: list[str] | None = None) -> bool:
    """Builds everything, or what the tests of `suites` need."""
    environment = {"WYE_BUILD": str(folder), "WYE_MESON_OPTIONS": " ".join(options)}
    good = True
    targets = []
    if suites:
        # The first call settles the configuration: which tests there are is known after it.
        good = run(f"configure {folder.name}/", ["scripts/build", "build.ninja"], environment)
        targets = needed_by(folder, suites) if good else []
    good = good and run(f"build in {folder.name}/", ["scripts/build", *targets], environment)
    tally.add(f"build {folder.name}", "passed" if good else "failed")
    return good


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/test", description=__doc__)
    parser.add_argument("--sanitize", action="store_true",
                        help="build with ASan and UBSan, and with TSan, and run the unit tests, the "
                             "fuzz targets for some seconds each, and the tests of threads, rings "
                             "and RCU")
    parser.add_argument("--quick", action="store_true", help="without the end-to-end tests")
    parser.add_argument("--vm", action="store_true",
                        help="only the tests that need the virtual lab (tests/virtual), which is set "
                             "up first; without this they are skipped")
    parser.add_argument("--no-setup", action="store_true", help="do not look for missing packages")
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        print("test: run as root (packages are installed, network namespaces are made)",
              file=sys.stderr)
        return 1
    begun = time.monotonic()
    tally = Tally()
    setup = ["scripts/setup", "--vm"] if arguments.vm else ["scripts/setup"]
    if not arguments.no_setup:
        tally.add("setup", "passed" if run("what is needed is installed", setup) else "failed")

    if arguments.sanitize:
        for name, (options, suites) in SANITIZERS.items():
            folder = TOP / f"build-{name}"
            if build(folder, options + SANITIZED, tally, suites):
                words = [word for suite in suites for word in ("--suite", suite)]
                words += ["--timeout-multiplier", "5"]
                meson_tests(folder, f"sanitize-{name}", words, tally, f"{name}: {', '.join(suites)}")
    elif arguments.vm:
        folder = Path(os.environ.get("WYE_BUILD", TOP / "build"))
        os.environ["WYE_TEST_VM"] = "1"
        if build(folder, [], tally):
            meson_tests(folder, "virtual", ["--suite", "virtual", "--num-processes", "1"], tally,
                        "in virtual machines")
    else:
        folder = Path(os.environ.get("WYE_BUILD", TOP / "build"))
        good = run("format, layers, headers, scripts", ["scripts/check"])
        tally.add("scripts/check", "passed" if good else "failed")
        if build(folder, [], tally):
            meson_tests(folder, "unit", ["--no-suite", "end_to_end"], tally,
                        "unit, wire and process tests")
            if not arguments.quick:
                meson_tests(folder, "end_to_end", ["--suite", "end_to_end", "--num-processes", "1"],
                            tally, "end to end, in namespaces")

    for line in tally.skips:
        print(f"skipped: {line}")
    for line in tally.failures:
        print(f"FAILED: {line}")
    print(f"took {time.monotonic() - begun:.0f} s")
    skipped = f", {tally.skipped} skipped" if tally.skipped else ""
    print(f"{tally.passed} passed, {tally.failed} failed{skipped}")
    return 1 if tally.failed or not tally.passed else 0


if __name__ == "__main__":
    sys.exit(main())
