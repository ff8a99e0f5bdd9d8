#!/usr/bin/python3
"""A virtual machine as a host behind a vhost-user port: QEMU's virtio-net in a guest whose memory wye maps,
pinged through wye from and to a host in a namespace; and again after the machine was killed.

    guest (QEMU, virtio-net) ══ vhost-user ══ p0 ─ wye-dataplane ─ p1 ── veth ── host in a namespace
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests" / "end_to_end"))

from tap import LabError, case, finish, need_root  # noqa: E402
from test_start import Running, configure  # noqa: E402

from vmlab import initramfs, packages  # noqa: E402

HOST = f"wye-vhost-{os.getpid()}"
# The guest is host 1 of wye-two-ports, the namespace host 2.
INIT = """#!/bin/busybox sh
b=/bin/busybox
$b mount -t devtmpfs dev /dev
exec > /dev/ttyS0 2>&1
while read -r module; do $b insmod "/modules/$module"; done < /modules/order
$b ip link set lo up
$b ip link set eth0 up
$b ip address add 10.1.0.10/24 dev eth0
$b ip route add default via 10.1.0.1
$b ping -c 2 -W 2 10.2.0.10 > /dev/null
for size in 56 1472; do $b ping -c 4 -W 3 -s $size 10.2.0.10; done
echo guest is done
while :; do $b sleep 100; done
"""


def guest_files(found: packages.Packages) -> bytes:
    archive = initramfs.Archive()
    for folder in ("bin", "dev", "modules"):
        archive.folder(folder)
    archive.file("bin/busybox", found.busybox.read_bytes())
    order = initramfs.load_order(found.modules, ("virtio_pci", "virtio_net"))
    for path in order:
        archive.file(f"modules/{path.name}", path.read_bytes(), 0o644)
    archive.file("modules/order", "".join(f"{path.name}\n" for path in order).encode(), 0o644)
    archive.file("init", INIT.encode())
    return archive.end()


class Guest:
    """Its memory is a memfd that QEMU shares with who is at the other end of the socket."""

    def __init__(self, found: packages.Packages, folder: Path) -> None:
        (folder / "initramfs").write_bytes(guest_files(found))
        self.console = folder / "console"
        self.console.write_bytes(b"")
        self.log = open(folder / "qemu", "wb")  # noqa: SIM115
        self.process = subprocess.Popen(
            [found.qemu, "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
             "-accel", "tcg", "-cpu", "max", "-machine", "q35,memory-backend=memory", "-m", "256",
             "-object", "memory-backend-memfd,id=memory,size=256M,share=on",
             "-kernel", str(found.vmlinuz), "-initrd", str(folder / "initramfs"),
             "-append", "console=ttyS0 loglevel=3 panic=-1 mitigations=off nokaslr",
             "-serial", f"file:{self.console}",
             "-chardev", f"socket,id=wye,path={folder}/0.sock",
             "-netdev", "vhost-user,id=net,chardev=wye",
             "-device", "virtio-net-pci,netdev=net,mac=02:00:00:00:01:10"],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)

    def said(self) -> str:
        return self.console.read_text(errors="replace")

    def await_done(self, seconds: float = 100) -> None:
        end = time.monotonic() + seconds
        while "guest is done" not in self.said():
            if self.process.poll() is not None or time.monotonic() > end:
                words = Path(self.log.name).read_text(errors="replace")
                raise LabError(f"the guest does not come up: {words} {self.said()[-600:]}")
            time.sleep(0.2)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self.log.close()


def sh(*words: str) -> str:
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode != 0:
        raise LabError(f"{' '.join(words)}: {done.stdout}{done.stderr}")
    return done.stdout


def make_host() -> None:
    sh("ip", "netns", "add", HOST)
    sh("ip", "link", "add", "wire", "type", "veth", "peer", "name", "eth0", "netns", HOST)
    sh("ip", "netns", "exec", HOST, "ethtool", "-K", "eth0", "tx", "off", "sg", "off", "tso", "off")
    # The twins are here too: what they answer this end of the wire must not.
    sh("ip", "link", "set", "wire", "arp", "off", "addrgenmode", "none")
    for words in (("link", "set", "eth0", "address", "02:00:00:00:02:10", "up"),
                  ("address", "add", "10.2.0.10/24", "dev", "eth0"),
                  ("route", "add", "default", "via", "10.2.0.1")):
        sh("ip", "-n", HOST, *words)


def to_the_host(guest: Guest) -> str:
    guest.await_done()
    lines = [line for line in guest.said().splitlines() if "packets transmitted" in line]
    if len(lines) != 2 or any(" 0% packet loss" not in line for line in lines):
        raise LabError(f"{lines}: {guest.said()[-800:]}")
    return "4 of 56 and 4 of 1472 bytes are answered"


def to_the_guest() -> str:
    said = sh("ip", "netns", "exec", HOST, "ping", "-n", "-c", "4", "-i", "0.2", "-W", "3", "10.1.0.10")
    return next(line for line in said.splitlines() if "packets transmitted" in line)


def balanced(running: Running) -> str:
    end = time.monotonic() + 10
    while (lines := running.ask("ledger")) != ["balanced"]:
        if time.monotonic() > end:
            raise LabError("\n".join(lines))
        time.sleep(0.2)
    return "balanced"


def scenario(found: packages.Packages, folder: Path) -> None:
    ports = (f"ports:\n  - {{name: p0, kind: vhost_user, socket: {folder}/0.sock}}\n"
             "  - {name: p1, kind: af_packet, interface: wire}\n")
    guests: list[Guest] = []
    make_host()
    with Running(configure(folder, ports)) as running:
        try:
            running.program()
            guests.append(Guest(found, folder))
            case("a guest pings through wye", to_the_host, guests[0])
            case("a host pings the guest through wye", to_the_guest)
            guests[0].kill()
            guests.append(Guest(found, folder))
            case("the guest was killed, another one comes", to_the_host, guests[1])
            case("a host pings it through wye", to_the_guest)
            case("ledger", balanced, running)
        finally:
            for guest in guests:
                guest.kill()


def main() -> None:
    need_root()
    try:
        found = packages.find()
    except packages.LabMissing as missing:
        print(f"1..0 # SKIP {missing}")
        return
    if "--unshared" not in sys.argv:  # twins in a network namespace of this test
        os.execvp("unshare", ["unshare", "--net", "--mount", sys.executable, __file__, "--unshared"])
    subprocess.run(["mount", "-t", "sysfs", "sysfs", "/sys"], check=True)
    sh("ip", "link", "set", "lo", "up")
    with tempfile.TemporaryDirectory(prefix="wye-vhost-") as folder:
        try:
            scenario(found, Path(folder))
        finally:
            subprocess.run(["ip", "netns", "delete", HOST], check=False)
    finish()


main()
