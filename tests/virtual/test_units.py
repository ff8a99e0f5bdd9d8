#!/usr/bin/python3
"""The installed units under systemd itself: VFs are made, the fast path and the shim come up with what the
units let them have and nothing else, come back when they are killed, and leave /run/wye behind."""

import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import guest
from guest import SLOW, LabError, case, finish, ping, sh, wait_for

BUILD = Path(os.environ.get("WYE_BUILD", guest.TOP / "build"))
UNITS = ("wye-host", "wye-dataplane", "wye-shim")
SYSTEM = Path("/etc/systemd/system")
FAR = "10.255.0.2"  # through the tunnel
TARGET = "[Unit]\nWants=" + " ".join(f"{unit}.service" for unit in UNITS) + "\n"
HOST = f"""
physical_functions:
  - interface: pf0
    vfs: 1
    functions: [{{number: 0, name: carrier, mac: "{guest.VF_MAC}", trust: true, spoof_check: false}}]
"""
DATAPLANE = """
workers: [{core: 1}]
memory: {hugepages: required, megabytes: 128}
ports:
  - {name: nic, kind: pci, vf: carrier}
"""


def configure() -> str:
    """As meson install does it (tests/install), but only what is run here: that takes a while."""
    for program, folder in (("wyectl", "bin"), ("wye-dataplane", "sbin"), ("wye-shim", "sbin")):
        shutil.copy(guest.PROGRAMS[program], f"/usr/local/{folder}")
    for unit in UNITS:
        text = (BUILD / "conf" / f"{unit}.service").read_text()
        (SYSTEM / f"{unit}.service").write_text(
            re.sub(r"^ExecStart=\S*/(s?bin/wye)", r"ExecStart=/usr/local/\1", text, flags=re.MULTILINE))
    etc = Path("/etc/wye")
    etc.mkdir(exist_ok=True)
    (etc / "host.yaml").write_text(HOST)
    (etc / "dataplane.yaml").write_text(DATAPLANE)
    (etc / "manifest.yaml").write_text(guest.MANIFEST)
    mask_boot()
    (SYSTEM / "wye-test.target").write_text(TARGET)
    return "in /usr/local, /etc/wye"


def mask_boot() -> None:
    """What a machine's boot does besides (/tmp emptied, file systems mounted) this one has had already."""
    for folder in (Path("/lib/systemd/system"), SYSTEM):
        for unit in folder.glob("*.wants/*"):
            mask = SYSTEM / unit.name
            if unit.suffix == ".target" or unit.name.startswith("systemd-journald"):
                continue
            mask.unlink(missing_ok=True)
            mask.symlink_to("/dev/null")


def boot() -> str:
    """systemd as the first process of a PID namespace, and cgroups for it."""
    sh("mount -t cgroup2 cgroup2 /sys/fs/cgroup")
    words = ["unshare", "--fork", "--pid", "--mount-proc", "--kill-child", "/lib/systemd/systemd",
             "--system", "--unit=wye-test.target", "--log-target=console", "--show-status=no"]
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               env={**os.environ, "container": "lab"})
    processes.append(process)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    wait_for(lambda: children.read_text().split(), "no systemd", SLOW)
    inside.extend(["nsenter", "-t", children.read_text().split()[0], "-p", "-m"])
    await_state("wye-dataplane", "active")
    return ", ".join(f"{unit} {state(unit)}" for unit in UNITS)


def systemctl(*words: str, check: bool = True) -> str:
    """It is answered only where systemd can see who asks: in its PID namespace."""
    return sh(" ".join([*inside, "systemctl", *words]), check=check, timeout=60).stdout.strip()


def of_unit(unit: str, name: str) -> str:
    return systemctl("show", "--property", name, "--value", unit, check=False)


def state(unit: str) -> str:
    return of_unit(unit, "ActiveState")


def await_state(unit: str, wanted: str) -> None:
    wait_for(lambda: state(unit) == wanted, f"{unit} is {state(unit)}, not {wanted}", 2 * SLOW, 0.5)


def waits_for_vrfs() -> str:
    """The manifest names VRF devices that are not there yet: the shim is tried until they are."""
    wait_for(lambda: int(of_unit("wye-shim", "NRestarts") or 0) > 0, "the shim is not tried again", SLOW)
    guest.Router.make_vrfs(None)
    wait_for(lambda: sh("wyectl show status", check=False).returncode == 0, "no shim answers", SLOW, 0.5)
    return f"up at try {1 + int(of_unit('wye-shim', 'NRestarts'))}"


def forwards() -> str:
    wait_for(lambda: guest.reachable("10.1.0.1", "red-host"), "the router does not answer", SLOW)
    return ping(FAR, "red-host")


def confined(unit: str, capabilities: set[str]) -> str:
    pid = main_pid(unit)
    words = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    held = sh(f"capsh --decode={words['CapBnd'].strip()}").stdout.strip().partition("=")[2]
    if set(held.split(",")) != capabilities:
        raise LabError(f"may have {held}")
    if words["NoNewPrivs"].strip() != "1" or words["Seccomp"].strip() != "2":
        raise LabError("new privileges or any system call")
    for path in ("/etc", "/usr", "/boot", "/proc/sys/kernel", "/sys/class/net"):
        if sh(f"nsenter -t {pid} -m test -w {path}", check=False).returncode == 0:
            raise LabError(f"{path} can be written")
    return held


def main_pid(unit: str) -> int:
    """As this PID namespace counts: systemd's own number is its namespace's."""
    inner = of_unit(unit, "MainPID")
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            numbers = next(line.split()[1:] for line in status.read_text().splitlines()
                           if line.startswith("NSpid:"))
        except (OSError, StopIteration):  # it has ended meanwhile
            continue
        if len(numbers) > 1 and numbers[-1] == inner:
            return int(numbers[0])
    raise LabError(f"{unit} has no process")


def twin_is_set() -> str:
    """The shim may write the settings of its twins, and zebra may come to its socket."""
    if sh("sysctl -n net.ipv4.conf.red-site.rp_filter").stdout.strip() != "0":
        raise LabError("rp_filter of red-site is not 0")
    sh("setpriv --reuid frr --regid frr --init-groups --bounding-set -all "
       "test -w /run/wye/zebra.sock")
    return "rp_filter 0; the user frr reaches /run/wye/zebra.sock"


def reloaded() -> str:
    manifest = Path("/etc/wye/manifest.yaml")
    manifest.write_text(manifest.read_text().replace("10.1.0.1/24", "10.1.0.99/24"))
    systemctl("reload", "wye-shim")
    wait_for(lambda: guest.reachable("10.1.0.99", "red-host"), "no answer from 10.1.0.99", SLOW)
    return "10.1.0.99 answers"


def killed(unit: str) -> str:
    before = int(of_unit(unit, "NRestarts"))
    old = main_pid(unit)
    sh(f"kill -KILL {old}")
    wait_for(lambda: int(of_unit(unit, "NRestarts")) > before and state(unit) == "active",
             f"{unit} does not come back", 2 * SLOW, 0.5)
    wait_for(lambda: guest.reachable(FAR, "red-host"), "nothing is forwarded", SLOW)
    return f"process {main_pid(unit)} instead of {old}"


def shim_restarted() -> str:
    """No packet is lost meanwhile."""
    stream = subprocess.Popen(["ip", "netns", "exec", "red-host", "ping", "-q", "-i", "0.1", "-c", "60",
                               FAR], stdout=subprocess.PIPE, text=True)
    time.sleep(1)
    systemctl("restart", "wye-shim")
    wait_for(lambda: sh("wyectl show status", check=False).returncode == 0, "no shim answers", SLOW, 0.5)
    said = stream.communicate(timeout=60)[0]
    if " 0% packet loss" not in said:
        raise LabError(said)
    return said.splitlines()[-2]


def stopped() -> str:
    systemctl("stop", "wye-shim", "wye-dataplane")
    for unit in ("wye-shim", "wye-dataplane"):
        if (result := of_unit(unit, "Result")) != "success":
            raise LabError(f"{unit}: {result}")
    left = sorted(path.name for path in Path("/run/wye/wye").iterdir())
    if not {"arena-1", "counters"} & set(left):
        raise LabError(f"in /run/wye/wye is only: {left}")
    return f"orderly; left in /run/wye/wye: {', '.join(left)}"


guest.require_guest()
if not Path("/lib/systemd/systemd").exists():
    print("1..0 # SKIP needs the Debian package systemd")
    raise SystemExit
processes: list[subprocess.Popen] = []
inside: list[str] = []
try:
    case("installed and configured", configure)
    guest.make_others()
    guest.make_tunnel_ends()
    sh("sysctl -qw net.ipv6.conf.pf0.disable_ipv6=1; ip link set pf0 up")  # else its VFs have no link
    if not case("systemd starts VFs, fast path and shim", boot):
        raise SystemExit(1)
    case("the shim is tried until its VRFs are there", waits_for_vrfs)
    case("packets are forwarded", forwards)
    case("the fast path is confined", confined, "wye-dataplane",
         {"cap_net_admin", "cap_net_raw", "cap_ipc_lock", "cap_bpf", "cap_perfmon"})
    case("the shim is confined", confined, "wye-shim", {"cap_net_admin", "cap_sys_admin", "cap_chown",
                                                  "cap_setuid"})
    case("what the shim is for it may do", twin_is_set)
    case("reload applies a new manifest", reloaded)
    case("the shim is restarted without loss", shim_restarted)
    case("the fast path is killed and comes back", killed, "wye-dataplane")
    case("the shim is killed and comes back", killed, "wye-shim")
    case("stopped", stopped)
finally:
    for unit in UNITS:
        for line in systemctl("--no-pager", "status", unit, check=False).splitlines():
            print(f"# {line}")
    for process in processes:
        process.kill()
finish()
