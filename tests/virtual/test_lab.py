#!/usr/bin/python3
"""The virtual lab itself: what scripts/vm promises, and what the machine has."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests" / "end_to_end"))

from tap import LabError, case, finish, need_root  # noqa: E402

# What the tests of this folder build on. Each line fails alone.
LOOK = """
expect() { title=$1; shift; if "$@" > /tmp/said 2>&1; then echo "ok $title";
           else echo "not ok $title: $(tail -n 1 /tmp/said)"; fi; }
vf_of() { readlink -f "/sys/class/net/$1/device/virtfn$2"; }
expect "pf0 on node 0" test "$(cat /sys/class/net/pf0/device/numa_node)" = 0
expect "pf1 on node 1" test "$(cat /sys/class/net/pf1/device/numa_node)" = 1
expect "two nodes" test -d /sys/devices/system/node/node1
expect "four CPUs" test "$(nproc)" = 4
for kind in vrf "geneve id 1 remote 192.0.2.1" dummy; do
    set -- $kind; name=$1; shift
    expect "kernel device $name" ip link add name "x$name" type $kind $(test $name = vrf && echo table 9)
done
expect "kernel device vlan" ip link add link pf1 name tagged type vlan id 7
expect "vfio" modprobe vfio-pci
for pf in pf0 pf1; do echo 2 > /sys/class/net/$pf/device/sriov_numvfs; done
for pf in pf0 pf1; do for vf in 0 1; do
    group=$(readlink -f "$(vf_of $pf $vf)/iommu_group")
    expect "VF $vf of $pf alone in its IOMMU group" test "$(ls "$group/devices" | wc -l)" = 1
done; done
expect "QMP" test -c "$WYE_VM_QMP"
expect "root is not the host's" sh -c 'echo x > /etc/wye-was-here'
echo "stderr comes too" >&2
echo brought out > "$WYE_VM_RESULTS/file"
exit 42
"""


def vm(*words: str, seconds: int = 200) -> subprocess.CompletedProcess:
    return subprocess.run([TOP / "scripts" / "vm", "--seconds", str(seconds), *words],
                          capture_output=True, text=True)


def promises() -> str:
    with tempfile.TemporaryDirectory() as results:
        done = vm("--results", results, "sh", "-c", LOOK)
        bad = [line for line in done.stdout.splitlines() if not line.startswith("ok ")]
        if bad or not done.stdout:
            raise LabError("; ".join(bad) or done.stderr)
        if done.returncode != 42:
            raise LabError(f"exit code {done.returncode}: {done.stderr}")
        if "stderr comes too" not in done.stderr:
            raise LabError(f"stderr is: {done.stderr}")
        if (Path(results) / "file").read_text() != "brought out\n":
            raise LabError("the file came out changed")
    if Path("/etc/wye-was-here").exists():
        raise LabError("the guest wrote to the host's root")
    return f"{len(done.stdout.splitlines())} things are there"


def running_with(word: str) -> list[str]:
    """Pids of processes with this word in their command line."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if word in (entry / "cmdline").read_text(errors="replace"):
                found.append(entry.name)
        except OSError:  # it has ended meanwhile
            continue
    return found


def time_limit() -> str:
    with tempfile.TemporaryDirectory() as results:
        begun = time.monotonic()
        done = vm("--results", results, "sleep", "1000", seconds=2)
        took = time.monotonic() - begun
        if done.returncode != 124 or "ended QEMU after 2 s" not in done.stderr:
            raise LabError(f"exit code {done.returncode}: {done.stderr}")
        if took > 20:
            raise LabError(f"took {took:.0f} s")
        if left := running_with(results):
            raise LabError(f"QEMU still runs: {left}")
    return f"{took:.1f} s: {done.stderr.strip()}"


def not_set_up() -> str:
    done = subprocess.run([TOP / "scripts" / "vm", "true"], capture_output=True, text=True,
                          env={"PATH": "/usr/bin:/bin", "WYE_VM_CACHE": "/nonexistent"})
    if done.returncode != 125 or "scripts/setup --vm" not in done.stderr:
        raise LabError(f"exit code {done.returncode}: {done.stderr}")
    if done.stderr.count("\n") != 1:
        raise LabError(f"not one line: {done.stderr}")
    return done.stderr.strip()


need_root()
case("the machine has what tests need, and keeps the promises", promises)
case("the time limit ends QEMU", time_limit)
case("without its packages it says what to run", not_set_up)
finish()
