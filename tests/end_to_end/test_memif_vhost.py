#!/usr/bin/python3
"""Ports on shared memory, memif and vhost_user, against dpdk-testpmd as the other end: in each role,
with sockets that nobody else may use, stale ones, ones that are taken, and another end that is killed
and comes again. In a network namespace of its own.

    h0 (TAP) ── testpmd ══ memif ══ p0 ─ wye-dataplane ─ p1 ══ vhost-user ══ testpmd ── h1 (TAP)
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import tap
from test_start import Running, configure, ipv4_frame, mac, need, refusal

TESTPMD = shutil.which("dpdk-testpmd")
ETH_P_ALL = 3
SERVERS = "memif", "server", "vhost_user", "server"


def ports_of(folder: Path, ends: tuple[str, str, str, str], more: str = "") -> str:
    first, first_role, second, second_role = ends
    return (f"ports:\n  - {{name: p0, kind: {first}, role: {first_role}, socket: {folder}/0.sock}}\n"
            f"  - {{name: p1, kind: {second}, role: {second_role}, socket: {folder}/1.sock}}\n{more}")


class OtherEnd:
    """testpmd between one of wye's ports and the TAP "h<n>"; it takes the role that wye has not."""

    def __init__(self, folder: Path, n: int, kind: str, wyes_role: str, pairs: int = 1) -> None:
        self.folder, self.n, self.pairs = folder, n, pairs
        path = folder / f"{n}.sock"
        listens = wyes_role == "client"
        if kind == "memif":
            role = "server" if listens else "client"
            self.device = f"net_memif0,role={role},socket={path},socket-abstract=no"
        else:
            self.device = f"net_virtio_user0,path={path},queues={pairs},server={int(listens)}"
        self.process: subprocess.Popen | None = None
        self.start()

    def start(self) -> None:
        self.log = open(self.folder / f"testpmd-{self.n}.log", "w+", encoding="utf-8")
        # Told to end by the end of its input, which is a pipe of ours.
        self.process = subprocess.Popen(
            [TESTPMD, "--no-huge", "-m", "192", "--no-pci", "--no-shconf",
             "--lcores", "0@0,1@0", f"--file-prefix=wye-end-{os.getpid()}-{self.n}",
             "--vdev", self.device, "--vdev", f"net_tap0,iface=h{self.n}", "--",
             f"--total-num-mbufs={4096 * self.pairs}", "--forward-mode=io", "--no-mlockall",
             "--interactive", "--auto-start", f"--rxq={self.pairs}", f"--txq={self.pairs}"],
            stdin=subprocess.PIPE, stdout=self.log, stderr=subprocess.STDOUT)
        end = time.monotonic() + 10
        while "testpmd>" not in self.words():
            need(self.process.poll() is None and time.monotonic() < end, self.words())
            time.sleep(0.05)
        subprocess.run(["sysctl", "-qw", f"net.ipv6.conf.h{self.n}.disable_ipv6=1"], check=True)
        subprocess.run(["ip", "link", "set", f"h{self.n}", "arp", "off", "up"], check=True)

    def words(self) -> str:
        self.log.flush()
        return Path(self.log.name).read_text(encoding="utf-8", errors="replace")[-3000:]

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self.log.close()

    def killed_and_anew(self) -> None:
        """Killed in the midst of traffic."""
        with under_load():
            self.kill()
            time.sleep(0.1)
        if "role=server" in self.device or "server=1" in self.device:
            (self.folder / f"{self.n}.sock").unlink()
        self.start()


class Host:
    """A raw socket on a TAP, which sees every frame that testpmd gives it."""

    def __init__(self, n: int) -> None:
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self.socket.bind((f"h{n}", 0))
        self.socket.settimeout(0.02)

    def __enter__(self) -> Host:
        return self

    def __exit__(self, *_) -> None:
        self.socket.close()

    def arrived(self, wanted: bytes, seconds: float, most: int = 1 << 30) -> int:
        """How often this frame came, until it has not come for so long."""
        count, end = 0, time.monotonic() + seconds
        while count < most and time.monotonic() < end:
            try:
                if self.socket.recv(2048) == wanted:
                    count, end = count + 1, time.monotonic() + seconds
            except TimeoutError:
                pass
        return count


@contextlib.contextmanager
def under_load():
    """Frames without end go in at h0, as long as that is there."""
    ended = threading.Event()

    def send() -> None:
        with Host(0) as source:
            while not ended.is_set():
                try:
                    for _ in range(64):
                        source.socket.send(IN)
                except OSError:  # its testpmd was killed
                    return
                time.sleep(0.001)

    sender = threading.Thread(target=send)
    sender.start()
    time.sleep(0.1)
    try:
        yield
    finally:
        ended.set()
        sender.join()


IN = ipv4_frame(mac(1, False), mac(1, True), 64)
OUT = ipv4_frame(mac(2, True), mac(2, False), 63)


def flows(running: Running) -> str:
    """In at p0, routed, out at p1; once the ways are open, nothing is lost."""
    begun = time.monotonic()
    with Host(0) as source, Host(1) as sink:
        while sink.arrived(OUT, 0.05) == 0:
            need(time.monotonic() < begun + 10, f"nothing comes: {running.ask('drops')} "
                                                f"{running.words()}")
            source.socket.send(IN)
        ready = time.monotonic() - begun
        sink.arrived(OUT, 0.3)
        for burst in range(30):
            for _ in range(16):
                source.socket.send(IN)
            got = sink.arrived(OUT, 1, 16)
            need(got == 16, f"{got} of 16 came in burst {burst}: {running.ask('drops')}")
    return f"the first after {ready:.1f} s"


def balanced(running: Running) -> str:
    end = time.monotonic() + 5
    while (lines := running.ask("ledger")) != ["balanced"]:
        need(time.monotonic() < end, "\n".join(lines))
        time.sleep(0.1)
    return "balanced"


def modes(folder: Path, names: tuple[str, ...]) -> None:
    for name in names:
        mode = (folder / name).stat().st_mode & 0o7777
        need(mode == 0o600, f"{name} has the mode {mode:o}")


def stale(path: Path, kind: int) -> int:
    with socket.socket(socket.AF_UNIX, kind) as dead:
        dead.bind(str(path))
    path.chmod(0o666)
    return path.stat().st_ino


def through(folder: Path, ends: tuple[str, str, str, str]) -> str:
    """Traffic; then each other end is killed and started anew, and wye goes on."""
    for n, role in ((0, ends[1]), (1, ends[3])):
        if role == "server":
            stale(folder / f"{n}.sock",
                  socket.SOCK_SEQPACKET if ends[2 * n] == "memif" else socket.SOCK_STREAM)
    told = []
    others: list[OtherEnd] = []
    with Running(configure(folder, ports_of(folder, ends))) as running:
        try:
            modes(folder, tuple(f"{n}.sock" for n in (0, 1) if ends[2 * n + 1] == "server"))
            others += [OtherEnd(folder, n, ends[2 * n], ends[2 * n + 1]) for n in (0, 1)]
            running.program()
            told.append(flows(running))
            for other in others:
                other.killed_and_anew()
                told.append(f"{other.n} anew: {flows(running)}")
            told.append(balanced(running))
            drops = running.ask("drops")
            running.end()
        finally:
            for other in others:
                other.kill()
    return "; ".join(told + drops)


def taken(folder: Path, second: str, kind: str, n: int) -> str:
    """A second instance may not have a socket that the first one listens on."""
    with Running(configure(folder, ports_of(folder, SERVERS))) as first:
        inode = (folder / f"{n}.sock").stat().st_ino
        (folder / second).mkdir()
        path = configure(folder / second,
                         f"ports: [{{name: mine, kind: {kind}, socket: {folder}/{n}.sock}}]",
                         instance=f"wye-{second}-{os.getpid()}")
        text = refusal(8, f"another process listens on {folder}/{n}.sock",
                       path)
        need((folder / f"{n}.sock").stat().st_ino == inode, "the socket was replaced")
        first.end()
        return text.splitlines()[-1]


def several_on_one_socket(folder: Path) -> str:
    """Interfaces of memif by their number, on one socket of one router."""
    path = folder / "0.sock"
    ports = (f"ports:\n  - {{name: p0, kind: memif, socket: {path}, socket_mode: 0640}}\n"
             f"  - {{name: p1, kind: memif, socket: {path}, id: 7, socket_mode: 0640}}")
    with Running(configure(folder, ports)) as running:
        mode = path.stat().st_mode & 0o7777
        need(mode == 0o640, f"the mode is {mode:o}")
        others = [OtherEnd(folder, 0, "memif", "server")]
        try:
            (folder / "1.sock").symlink_to(path)
            other = OtherEnd.__new__(OtherEnd)
            other.folder, other.n, other.pairs = folder, 1, 1
            other.device = f"net_memif0,role=client,id=7,socket={path},socket-abstract=no"
            other.start()
            others.append(other)
            running.program()
            told = flows(running)
            balanced(running)
            running.end()
        finally:
            for other in others:
                other.kill()
    return told


def numbered(n: int, flow: int, number: int) -> bytes:
    """As it goes in at p0 (n 1) or comes out at p1 (n 2): one UDP source port a flow."""
    destination, source, ttl = ((mac(1, False), mac(1, True), 64) if n == 1 else
                                (mac(2, True), mac(2, False), 63))
    payload = struct.pack(">HI", flow, number).ljust(40, b"w")
    return ipv4_frame(destination, source, ttl, payload, 1024 + flow)


class Pairs:
    """A router with two workers and so many queue pairs on each port, and its other ends with as many as
    `theirs` says."""

    def __init__(self, folder: Path, ends: tuple[str, str, str, str],
                 theirs: tuple[int, int]) -> None:
        ports = ports_of(folder, ends).replace("}\n", ", receive_queues: 2}\n")
        cores = sorted(os.sched_getaffinity(0))
        workers = f"[{{core: {cores[0]}}}, {{core: {cores[-1]}}}]"
        self.running = Running(configure(folder, ports, workers=workers, share_cores="true",
                                         memory="{hugepages: never, megabytes: 128}"))
        self.others = [OtherEnd(folder, n, ends[2 * n], ends[2 * n + 1], theirs[n])
                       for n in (0, 1)]
        self.running.program()

    def __enter__(self) -> Pairs:
        return self

    def __exit__(self, *_) -> None:
        for other in self.others:
            other.kill()
        self.running.__exit__()

    def by_queue(self, port: str) -> dict[tuple[int, int], int]:
        """(queue, worker): packets."""
        rows = (line.split() for line in self.running.ask("queues"))
        return {(int(queue), int(worker)): int(packets)
                for name, queue, worker, packets in rows if name == port}

    def send(self, source: Host, sink: Host, flows: int, number: int) -> list[bytes]:
        """One frame of each flow; what comes out of them, in its order."""
        for flow in range(flows):
            source.socket.send(numbered(1, flow, number))
        wanted = {numbered(2, flow, number) for flow in range(flows)}
        got, end = [], time.monotonic() + 1
        while len(got) < flows and time.monotonic() < end:
            try:
                frame = sink.socket.recv(2048)
            except TimeoutError:
                continue
            if frame in wanted:
                got.append(frame)
        return got


def several_pairs(folder: Path, ends: tuple[str, str, str, str]) -> str:
    """Flows are spread by who fills the queues; each worker has one and sends by one; nothing is lost."""
    flows, rounds = 64, 20
    with Pairs(folder, ends, (2, 2)) as pairs:
        with Host(0) as source, Host(1) as sink:
            end = time.monotonic() + 15
            while len(pairs.send(source, sink, flows, 0)) < flows:
                need(time.monotonic() < end, f"nothing comes: {pairs.running.words()}")
            before = pairs.by_queue("p0")
            for number in range(1, rounds + 1):
                got = pairs.send(source, sink, flows, number)
                need(len(got) == flows == len(set(got)),
                     f"{len(got)} of {flows} in round {number}: {pairs.running.ask('drops')}")
        grown = {key: count - before[key] for key, count in pairs.by_queue("p0").items()}
        need(set(grown) == {(0, 0), (1, 1)} and min(grown.values()) >= flows * rounds / 4, f"{grown}")
        need("takes nothing" not in pairs.running.words(), pairs.running.words())
        balanced(pairs.running)
        pairs.running.end()
        return f"{flows * rounds} frames by (queue, worker): {grown}"


def fewer_pairs(folder: Path, ends: tuple[str, str, str, str]) -> str:
    """What the other end has not is said, and what is lost by it is counted."""
    with Pairs(folder, ends, (2, 1)) as pairs:
        words = 'port "p1": the other end takes nothing of queue(s) 1'
        with Host(0) as source, Host(1) as sink:
            end = time.monotonic() + 15
            while words not in pairs.running.words():
                need(time.monotonic() < end, f"not said: {pairs.running.words()}")
                some = len(pairs.send(source, sink, 64, 0))
        drops = pairs.running.ask("drops")
        need(any("port_transmit_full" in line for line in drops) and 0 < some < 64, f"{some} {drops}")
        balanced(pairs.running)
        return next(line for line in pairs.running.words().splitlines() if words in line)


def no_socket_in_the_way(folder: Path) -> str:
    (folder / "0.sock").write_text("somebody's file")
    text = refusal(8, f"{folder}/0.sock is there and no socket",
                   configure(folder, ports_of(folder, SERVERS)))
    need((folder / "0.sock").read_text() == "somebody's file", "the file was touched")
    return text.splitlines()[-1]


def case(name: str, function, *arguments) -> None:
    with tempfile.TemporaryDirectory(prefix="wye-shared-") as folder:
        tap.case(name, function, Path(folder), *arguments)


def everything() -> None:
    case("memif server, vhost_user server; the other ends come anew", through, SERVERS)
    case("memif client, vhost_user client; the other ends come anew", through,
         ("memif", "client", "vhost_user", "client"))
    case("refused: a memif's socket that another instance has", taken, "second", "memif", 0)
    case("refused: a vhost_user's socket that another instance has", taken, "second",
         "vhost_user", 1)
    case("two interfaces of memif on one socket", several_on_one_socket)
    case("two queue pairs, two workers: memif server, vhost_user server", several_pairs, SERVERS)
    case("two queue pairs, two workers: memif client, vhost_user client", several_pairs,
         ("memif", "client", "vhost_user", "client"))
    case("an other end of vhost_user with fewer pairs", fewer_pairs, SERVERS)
    case("an other end of memif with fewer pairs", fewer_pairs,
         ("memif", "client", "memif", "server"))
    case("refused: a file in the socket's place", no_socket_in_the_way)


def main() -> None:
    tap.need_root()
    if TESTPMD is None:
        print("1..0 # SKIP needs dpdk-testpmd")
        return
    if os.environ.get("WYE_SHARED_INSIDE") != "1":
        os.environ["WYE_SHARED_INSIDE"] = "1"
        unshare = shutil.which("unshare")
        os.execv(unshare, [unshare, "--net", "--mount", sys.executable, __file__])
    everything()
    tap.finish()


if __name__ == "__main__":
    main()
