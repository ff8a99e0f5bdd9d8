#!/usr/bin/python3
"""meson install into an empty folder: what is there, that it runs, and that systemd takes the units."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "end_to_end"))

from tap import LabError, case, finish, report  # noqa: E402

BUILD = Path(os.environ["WYE_BUILD"])
PREFIX = Path(os.environ["WYE_PREFIX"]).relative_to("/")

PROGRAMS = ["bin/wyectl", "sbin/wye-arena", "sbin/wye-dataplane", "sbin/wye-shim"]
UNITS = ["wye-dataplane", "wye-host", "wye-shim"]
EXPECTED = {
    *PROGRAMS,
    *(f"lib/systemd/system/{unit}.service" for unit in UNITS),
    "share/bash-completion/completions/wyectl",
    *(f"share/doc/wye/{name}" for name in ("LICENSE", "configuration.md", "drivers.md", "frr.md",
                                           "glossary.md", "host.md", "installation.md",
                                           "manifest.md")),
    *(f"share/doc/wye/examples/{name}.yaml" for name in ("dataplane", "host", "manifest")),
    "share/man/man1/wyectl.1",
    *(f"share/man/man5/{name}.5" for name in ("wye-dataplane.yaml", "wye-host.yaml", "wye-manifest")),
    *(f"share/man/man8/{name}.8" for name in ("wye-arena", "wye-dataplane", "wye-shim")),
    *(f"share/wye/schema/{name}.schema.json" for name in ("host", "manifest")),
}
# `systemd-analyze security` sums up what a service may do: 0 nothing, 10 everything. What is left to
# these is what they are for: devices, the network's configuration, network namespaces.
EXPOSURE = {"wye-dataplane": 4.5, "wye-shim": 5.0, "wye-host": 5.0}

root = Path(tempfile.mkdtemp(prefix="wye-install-"))
tree = root / PREFIX


def run(*words, **options) -> str:
    done = subprocess.run(words, capture_output=True, text=True, **options)
    if done.returncode != 0:
        raise LabError(f"{' '.join(map(str, words))}: exit {done.returncode}: "
                       f"{(done.stdout + done.stderr).strip()[-800:]}")
    return done.stdout + done.stderr


def install() -> str:
    run("meson", "install", "-C", BUILD, "--no-rebuild", "--quiet", "--destdir", root)
    found = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    wanted = {str(PREFIX / path) for path in EXPECTED}
    if (BUILD / "wye_dplane.so").exists():
        wanted.add(str(PREFIX / "lib/wye/wye_dplane.so"))
    if found != wanted:
        raise LabError(f"missing: {sorted(wanted - found)}; too much: {sorted(found - wanted)}")
    return f"{len(found)} files below {PREFIX}, nothing elsewhere"


def programs_run() -> str:
    for path in PROGRAMS:
        said = run(tree / path, "--version").strip()
        if not said.startswith(Path(path).name):
            raise LabError(f"{path} --version says {said}")
    dynamic = run("readelf", "-d", *(tree / path for path in PROGRAMS))
    if "RUNPATH" in dynamic or "RPATH" in dynamic:
        raise LabError("a program looks for libraries where it was built")
    return "each says its version"


def manuals() -> str:
    for page in sorted((tree / "share/man").glob("*/*")):
        said = run("man", "--warnings", "--encoding=UTF-8", "-l", page,
                   env={**os.environ, "LC_ALL": "C.UTF-8", "MANROFFSEQ": "", "MANWIDTH": "100"})
        if "NAME" not in said or "warning" in said:
            raise LabError(f"{page.name}: {said[:300]}")
    return "all pages are read by man"


def completion() -> str:
    script = "source '%s'; complete -p wyectl" % (tree / "share/bash-completion/completions/wyectl")
    return run("bash", "-euc", script).strip()


def examples() -> str:
    """Each is taken by the program that reads it, as far as that goes on another machine."""
    folder = tree / "share/doc/wye/examples"
    commands = {
        "dataplane": ("sbin/wye-dataplane", "--check", "--config"),
        "host": ("bin/wyectl", "host", "plan", "--file"),
        "manifest": ("sbin/wye-shim", "--run-dir", "/dev/null/no", "--manifest"),
    }
    # A core, a NIC and a run directory that are not here come after the file was found to be good.
    elsewhere = ("core ", "there is no PCI device", "/dev/null/no cannot be made")
    for name, (program, *options) in commands.items():
        done = subprocess.run([tree / program, *options, folder / f"{name}.yaml"],
                              capture_output=True, text=True)
        bad = [line for line in done.stderr.splitlines() if not any(x in line for x in elsewhere)]
        if bad or done.returncode not in (0, 1, 4, 6):
            raise LabError(f"{name}.yaml: exit {done.returncode}: {done.stderr}")
    return "each is read without a problem"


def again() -> str:
    """A second installation changes nothing in /etc, not even beside what is ours."""
    mine = root / "etc/wye/dataplane.yaml"
    mine.parent.mkdir(parents=True)
    mine.write_text("instance: mine\n")
    run("meson", "install", "-C", BUILD, "--no-rebuild", "--quiet", "--destdir", root)
    if mine.read_text() != "instance: mine\n" or len(list(mine.parent.iterdir())) != 1:
        raise LabError("/etc/wye was touched")
    return "an operator's file stays as it is"


# -- units ------------------------------------------------------------------------------------------

def unit_text(unit: str) -> str:
    return (tree / f"lib/systemd/system/{unit}.service").read_text()


def units_name_programs() -> str:
    for unit in UNITS:
        text = unit_text(unit)
        if left := re.search(r"@\w+@", text):
            raise LabError(f"{unit}: {left.group()} was not replaced")
        program = re.search(r"^ExecStart=(\S+)", text, re.MULTILINE).group(1)
        if not (root / program.lstrip("/")).exists():
            raise LabError(f"{unit}: {program} is not installed")
    return "each starts a program that is there"


def relocated() -> list[Path]:
    """The units with programs where they are now: systemd looks whether these can be run."""
    folder = root / "units"
    folder.mkdir(exist_ok=True)
    for unit in UNITS:
        text = re.sub(r"^ExecStart=", f"ExecStart={root}", unit_text(unit), flags=re.MULTILINE)
        (folder / f"{unit}.service").write_text(text)
    return [folder / f"{unit}.service" for unit in UNITS]


def verified() -> str:
    said = run("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *relocated())
    about = [line for line in said.splitlines() if "wye-" in line]
    if about:
        raise LabError("\n".join(about))
    return "systemd finds nothing to complain about"


def hardened() -> str:
    levels = []
    for path in relocated():
        said = run("systemd-analyze", "security", "--offline=yes", "--no-pager", path)
        level = float(re.search(r"exposure level for \S+: ([\d.]+)", said).group(1))
        levels.append(f"{path.stem} {level}")
        if level > EXPOSURE[path.stem]:
            raise LabError(f"{path.stem} may do too much: {level}\n" +
                           "\n".join(line for line in said.splitlines() if line.startswith("✗")))
    return ", ".join(levels)


def case_if(condition: bool, reason: str, name: str, function) -> None:
    if condition:
        case(name, function)
    else:
        report(True, f"{name} # SKIP {reason}")


try:
    case("the installed tree", install)
    case("programs run", programs_run)
    case_if(shutil.which("man") is not None, "needs the Debian package man-db", "manuals", manuals)
    case("bash completion", completion)
    case("examples", examples)
    case("a second installation", again)
    case("units name installed programs", units_name_programs)
    has_systemd = shutil.which("systemd-analyze") is not None
    for name, function in (("systemd-analyze verify", verified), ("systemd-analyze security", hardened)):
        case_if(has_systemd, "needs systemd-analyze (the Debian package systemd)", name, function)
finally:
    shutil.rmtree(root)
finish()
