"""The virtual machine: its devices as QEMU's command line, one run of it, and its end by pid."""

from __future__ import annotations

import os
import selectors
import shlex
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from . import initramfs
from .packages import Packages

HERE = Path(__file__).resolve().parent
FAILED = 125  # our own exit code, as env(1) and docker have it: the command was not run to its end
TIMED_OUT = 124  # as timeout(1)


# Software emulation on a busy machine now and then hangs while Linux boots (a CPU whose timer does not
# fire). Before the command has begun nothing is lost by starting anew: when it takes too long, or as soon
# as the console, on which a booting Linux says something several times a second, has been silent.
BOOT_SECONDS = 60
SILENT_SECONDS = 30
BOOTS = 4


class Boot:
    """The guest until its command begins."""

    def __init__(self, work: Path, deadline: float, may_give_up: bool) -> None:
        self.ready = work / "control" / "ready"
        self.console = work / "console"
        self.deadline = deadline
        self.may_give_up = may_give_up
        self.said, self.heard = 0, time.monotonic()

    def hangs(self, now: float) -> bool:
        if self.ready.exists():
            return False
        said = self.console.stat().st_size if self.console.exists() else 0
        if said != self.said:
            self.said, self.heard = said, now
        silent = self.may_give_up and now - self.heard > SILENT_SECONDS
        return silent or now > self.deadline


@dataclass
class Wishes:
    command: list[str]
    results: Path
    seconds: float = 120
    megabytes: int = 2560
    verbose: bool = False


def devices() -> list[str]:
    """What is in the machine besides CPUs and memory.

    Each igb is alone behind a root port, so that each of its VFs has an IOMMU group of its own, and
    that hangs at a host bridge of a NUMA node. Both are on one hub: what one sends the other sees.
    """
    return [
        "-device", "intel-iommu,intremap=on,caching-mode=on",
        "-device", "pxb-pcie,id=node0,bus_nr=32,numa_node=0,bus=pcie.0,addr=0x10",
        "-device", "pxb-pcie,id=node1,bus_nr=64,numa_node=1,bus=pcie.0,addr=0x11",
        "-device", "pcie-root-port,id=port0,bus=node0,chassis=1,slot=1",
        "-device", "pcie-root-port,id=port1,bus=node1,chassis=2,slot=2",
        "-netdev", "hubport,id=net0,hubid=0",
        "-netdev", "hubport,id=net1,hubid=0",
        "-device", "igb,id=igb0,bus=port0,netdev=net0,mac=52:54:00:77:79:00",
        "-device", "igb,id=igb1,bus=port1,netdev=net1,mac=52:54:00:77:79:01",
    ]


def qemu_words(packages: Packages, wishes: Wishes, work: Path, out: int, err: int) -> list[str]:
    half = wishes.megabytes // 2
    kernel = ["console=ttyS0", "loglevel=4", "panic=-1", "intel_iommu=on", "mitigations=off", "nokaslr",
              "audit=0", "random.trust_cpu=on", f"wye.main={HERE / 'guest_main.sh'}"]
    share = "security_model=none,multidevs=remap"
    return [
        packages.qemu, "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
        "-accel", "tcg,thread=multi", "-cpu", "max", "-machine", "q35",
        "-smp", "4,sockets=2,cores=2", "-m", str(2 * half),
        "-object", f"memory-backend-ram,id=mem0,size={half}M",
        "-object", f"memory-backend-ram,id=mem1,size={half}M",
        "-numa", "node,nodeid=0,cpus=0-1,memdev=mem0",
        "-numa", "node,nodeid=1,cpus=2-3,memdev=mem1",
        "-kernel", str(packages.vmlinuz), "-initrd", str(work / "initramfs"),
        "-append", " ".join(kernel),
        "-serial", f"file:{work / 'console'}",
        "-virtfs", f"local,path=/,mount_tag=host,readonly=on,{share}",
        "-virtfs", f"local,path={work / 'control'},mount_tag=control,{share}",
        "-virtfs", f"local,path={wishes.results},mount_tag=results,{share}",
        "-device", "virtio-serial-pci",
        "-chardev", f"file,id=out,path=/dev/fd/{out},append=on",
        "-device", "virtserialport,chardev=out,name=wye.out",
        "-chardev", f"file,id=err,path=/dev/fd/{err},append=on",
        "-device", "virtserialport,chardev=err,name=wye.err",
        # The guest may speak QMP with its own QEMU (to pull a NIC's cable): a port of the guest is a
        # client of the monitor's socket.
        "-chardev", f"socket,id=monitor,path={work / 'qmp'},server=on,wait=off",
        "-mon", "chardev=monitor,mode=control",
        "-chardev", f"socket,id=qmp,path={work / 'qmp'}",
        "-device", "virtserialport,chardev=qmp,name=wye.qmp",
        *devices(),
    ]


def write_control(packages: Packages, wishes: Wishes, folder: Path) -> None:
    folder.mkdir()
    (folder / "command").write_text("exec " + shlex.join(wishes.command) + "\n")
    variables = {name: value for name, value in os.environ.items()
                 if name.startswith("WYE_") or name == "TERM"}
    variables["WYE_VM_MODULES"] = str(packages.modules)
    variables["WYE_VM_FOLDER"] = os.getcwd()
    (folder / "environment").write_text(
        "".join(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items()))


def end(qemu: subprocess.Popen) -> None:
    if qemu.poll() is None:
        qemu.terminate()
        try:
            qemu.wait(5)
        except subprocess.TimeoutExpired:
            qemu.kill()
            qemu.wait()


def pump(qemu: subprocess.Popen, pipes: dict[int, int], boot: Boot, deadline: float) -> bool:
    """Copies what comes from the guest until QEMU has ended. False: time was up first."""
    with selectors.DefaultSelector() as selector:
        for source in pipes:
            selector.register(source, selectors.EVENT_READ)
        while True:
            ready = selector.select(0.1)
            for key, _ in ready:
                if data := os.read(key.fd, 65536):
                    os.write(pipes[key.fd], data)
                else:
                    selector.unregister(key.fd)
            if not ready and qemu.poll() is not None:
                return True
            now = time.monotonic()
            if now > deadline or boot.hangs(now):
                return False


def run(packages: Packages, wishes: Wishes) -> int:
    """The command's exit code, or one of ours after a line to stderr that says why."""
    wishes.results.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()
    for boot in range(BOOTS):
        code = attempt(packages, wishes, begun, last=boot == BOOTS - 1)
        if code is not None:
            return code
        print("vm: the guest had not come up; starts anew", file=sys.stderr)
    return FAILED


def attempt(packages: Packages, wishes: Wishes, begun: float, last: bool) -> int | None:
    """None: it did not come up, and there is time for another try."""
    deadline = begun + wishes.seconds
    boot_deadline = deadline if last else time.monotonic() + BOOT_SECONDS
    with tempfile.TemporaryDirectory(prefix="wye-vm-") as name:
        work = Path(name)
        (work / "initramfs").write_bytes(initramfs.build(packages))
        write_control(packages, wishes, work / "control")
        out, out_end = os.pipe()
        err, err_end = os.pipe()
        words = qemu_words(packages, wishes, work, out_end, err_end)
        with open(work / "qemu", "wb") as log:
            qemu = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                    pass_fds=(out_end, err_end), start_new_session=True)
        os.close(out_end)
        os.close(err_end)
        try:
            in_time = pump(qemu, {out: sys.stdout.fileno(), err: sys.stderr.fileno()},
                           Boot(work, boot_deadline, may_give_up=not last), deadline)
        finally:
            end(qemu)
            os.close(out)
            os.close(err)
            console = work / "console"
            if console.exists():
                (wishes.results / "console.log").write_bytes(console.read_bytes())
        # QEMU's emulated IOMMU now and then ends it while the guest boots (an assertion of its own), or
        # Linux does by a panic about its emulated interrupt controller, with 0.
        crashed = not (work / "control" / "ready").exists()
        if (not in_time or (crashed and not last)) and time.monotonic() < deadline:
            return None
        return outcome(wishes, work, qemu.returncode, in_time, time.monotonic() - begun)


def outcome(wishes: Wishes, work: Path, qemu_code: int, in_time: bool, seconds: float) -> int:
    said = work / "control" / "exit"
    ready = work / "control" / "ready"
    if said.exists():
        if wishes.verbose:
            print(f"vm: {seconds:.1f} s, of them {ready.read_text().strip()} s until the command began",
                  file=sys.stderr)
        return int(said.read_text())
    where = f"the guest's console is in {wishes.results / 'console.log'}"
    if not in_time:
        stage = "the command had not ended" if ready.exists() else "the guest had not come up"
        print(f"vm: ended QEMU after {wishes.seconds:.0f} s: {stage} ({where}; --seconds allows more)",
              file=sys.stderr)
        return TIMED_OUT
    console = work / "console"
    if qemu_code != 0 and (not console.exists() or console.stat().st_size == 0):
        print(f"vm: QEMU failed: {(work / 'qemu').read_text(errors='replace').strip()}",
              file=sys.stderr)
    else:
        print(f"vm: the guest ended before the command did ({where})", file=sys.stderr)
    return FAILED
