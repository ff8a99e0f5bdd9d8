"""Places of a lab: where a command can be run, and how to get there.

The lab is one process (labkit/init.py) in PID and mount namespaces of its own. A place is a network
namespace, and for a PoP also a mount namespace, bound to a file under /run/wye-ns inside the lab.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

STATE = Path("/run/wye-lab")
NAMESPACES = "/run/wye-ns"
HERE = Path(__file__).resolve().parent
TOP = HERE.parent.parent


class LabError(Exception):
    """One clear sentence for the person at the keyboard."""


def start_time(pid: int) -> str | None:
    """The kernel's start time of a process: with the pid it names a process for good."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return None


class Lab:
    def __init__(self, name: str = "lab") -> None:
        self.name = name
        self.pid_file = STATE / f"{name}.pid"
        self.logs = STATE / f"{name}.logs"

    # -- the lab's first process ------------------------------------------------------------

    def init_pid(self) -> int | None:
        """Pid of the lab's first process, or None if it is not running (any more)."""
        try:
            pid, started = self.pid_file.read_text().split()
        except (OSError, ValueError):
            return None
        return int(pid) if start_time(int(pid)) == started else None

    def require(self) -> int:
        pid = self.init_pid()
        if pid is None:
            raise LabError(f"lab '{self.name}' is not up: start it with scripts/lab up")
        return pid

    def start_init(self) -> None:
        if self.init_pid() is not None:
            raise LabError(f"lab '{self.name}' is up already: scripts/lab down ends it")
        STATE.mkdir(parents=True, exist_ok=True)
        self.logs.mkdir(exist_ok=True)
        for old in self.logs.iterdir():
            old.unlink()
        read_end, write_end = os.pipe()
        os.set_inheritable(write_end, True)
        command = ["unshare", "--fork", "--pid", "--mount", "--mount-proc", "--",
                   "/usr/bin/python3", str(HERE / "init.py"), str(write_end)]
        with open(self.logs / "init.log", "wb") as log:
            outer = subprocess.Popen(command, close_fds=False, stdin=subprocess.DEVNULL,
                                     stdout=log, stderr=log, start_new_session=True)
        os.close(write_end)
        ready = os.read(read_end, 16)
        os.close(read_end)
        if not ready:
            outer.wait()
            raise LabError("the lab's namespaces could not be made: " +
                           (self.logs / "init.log").read_text().strip())
        children = Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text().split()
        pid = int(children[0])
        self.pid_file.write_text(f"{pid} {start_time(pid)}\n")

    def down(self) -> bool:
        """Ends everything in the lab. False: there was nothing."""
        pid = self.init_pid()
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
            deadline = time.monotonic() + 60  # hundreds of namespaces take a while to end
            while start_time(pid) is not None and not self._is_zombie(pid):
                if time.monotonic() > deadline:
                    raise LabError(f"process {pid} of lab '{self.name}' does not end")
                time.sleep(0.01)
        self.pid_file.unlink(missing_ok=True)
        return pid is not None

    @staticmethod
    def _is_zombie(pid: int) -> bool:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
        except OSError:
            return True

    # -- places -------------------------------------------------------------------------------

    def enter(self, place: str) -> list[str]:
        """The words before a command that make it run at `place`.

        `lab` is the lab itself; `a` a PoP (where its shim and FRR run); `a/red` a tenant's VRF
        there; any other name (`wire-a`, `switch-a`, `red-host-a`) a network namespace.
        """
        words = ["nsenter", "-t", str(self.require()), "-m", "-p", "--"]
        if place == "lab":
            return words
        pop, _, vrf = place.partition("/")
        words += ["nsenter", f"--net={NAMESPACES}/{pop}.net"]
        holder = self._mount_holder(pop)
        if holder:
            words += ["-m", "-t", holder]
        words.append("--")
        if vrf:
            words += ["ip", "netns", "exec", vrf]
        return words

    def run(self, place: str, *command: str, check: bool = True, timeout: float = 60,
            **options) -> subprocess.CompletedProcess:
        options.setdefault("capture_output", True)
        done = subprocess.run(self.enter(place) + list(command), text=True, timeout=timeout,
                              **options)
        if check and done.returncode != 0:
            said = ((done.stdout or "") + (done.stderr or "")).strip()
            raise LabError(f"at {place}: {' '.join(command)[:200]}: exit {done.returncode}: {said}")
        return done

    def shell(self, place: str, script: str, **options) -> subprocess.CompletedProcess:
        return self.run(place, "sh", "-ec", script, **options)

    def spawn(self, place: str, *command: str, log: str | None = None,
              **options) -> subprocess.Popen:
        """A process that outlives us (it ends with the lab), or one whose output we read."""
        if log is not None:
            handle = open(self.logs / log, "ab")
            options.setdefault("stdout", handle)
            options.setdefault("stderr", handle)
        options.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.Popen(self.enter(place) + list(command), start_new_session=True,
                                **options)

    def _mount_holder(self, pop: str) -> str:
        """Pid, inside the lab, of the process that keeps a PoP's mount namespace; empty: it has none.

        A process, not a bound file: since Linux numbers namespaces per CPU, binding a mount
        namespace to a file in another fails now and then.
        """
        try:
            return Path(f"/proc/{self.require()}/root{NAMESPACES}/{pop}.pid").read_text().strip()
        except OSError:
            return ""

    def make_mount(self, name: str) -> None:
        pid_file = f"{NAMESPACES}/{name}.pid"
        self.spawn("lab", "unshare", "--mount", "--propagation", "private", "sh", "-c",
                   f"echo $$ > {pid_file}.new; mv {pid_file}.new {pid_file}; exec sleep infinity")
        deadline = time.monotonic() + 5
        while not Path(f"/proc/{self.require()}/root{pid_file}").exists():
            if time.monotonic() > deadline:
                raise LabError(f"the mount namespace of {name} could not be made")
            time.sleep(0.005)

    def make_net(self, name: str) -> None:
        self.shell("lab", f"""
            touch {NAMESPACES}/{name}.net
            unshare --net={NAMESPACES}/{name}.net true
            nsenter --net={NAMESPACES}/{name}.net ip link set lo up""")


def fail(text: str) -> None:
    print(text, file=sys.stderr)
    sys.exit(1)
