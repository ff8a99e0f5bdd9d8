#!/usr/bin/python3
"""How wye-dataplane starts and ends: what it refuses and in which words, what it leaves behind, and
what it makes of tables that somebody damaged. In a network and a mount namespace of its own."""

from __future__ import annotations

import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import tap

BUILD = Path(os.environ.get("WYE_BUILD", Path(__file__).resolve().parents[2] / "build"))
DATAPLANE = BUILD / "dataplane" / "main" / "wye-dataplane"
ROUTER = BUILD / "tests" / "tools" / "wye-two-ports"
NIC_ON_NODE_ONE = Path(__file__).resolve().parents[1] / "unit" / "drivers" / "topologies" / "nic_on_node_one.xml"
NR_HUGEPAGES = Path("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages")
NAME = f"wye-start-{os.getpid()}"
CORE = sorted(os.sched_getaffinity(0))[-1]
RINGS = "ports: [{name: p0, kind: ring}, {name: p1, kind: ring}]"


class Skipped(Exception):
    pass


def need(condition: bool, text: str) -> None:
    if not condition:
        raise tap.LabError(text)


def configure(folder: Path, ports: str = RINGS, **changed: str) -> Path:
    keys = {"instance": NAME, "run_dir": str(folder / "run"),
            "workers": f"[{{core: {CORE}}}]",
            "memory": "{hugepages: never, megabytes: 64}", **changed}
    path = folder / "dataplane.yaml"
    path.write_text("".join(f"{key}: {value}\n" for key, value in keys.items()) + ports + "\n")
    return path


def refusal(code: int, words: str, path: Path, *arguments: str, **environment: str) -> str:
    """It ends by itself with this code and these words, at once and without a trace."""
    done = subprocess.run([DATAPLANE, "--config", path, *arguments], text=True, timeout=20,
                          capture_output=True, env={**os.environ, **environment})
    need(done.returncode == code, f"exit code {done.returncode}, not {code}: {done.stderr}")
    need(words in done.stderr, f"not said: {words!r} but {done.stderr!r}")
    return done.stderr.strip()


class Running:
    """A data plane, and perhaps the programmer that makes a router of it."""

    def __init__(self, path: Path, **environment: str) -> None:
        self.run_dir = Path(path.read_text().split("run_dir: ")[1].split("\n")[0])
        self.log = open(path.with_suffix(".log"), "w+", encoding="utf-8")
        self.process = subprocess.Popen([DATAPLANE, "--config", path], text=True,
                                        stdout=subprocess.PIPE, stderr=self.log,
                                        env={**os.environ, **environment})
        self.router: subprocess.Popen | None = None
        self.ready = self.process.stdout.readline().strip()

    def __enter__(self) -> Running:
        need(": ready, instance" in self.ready, f"not ready: {self.words()}")
        return self

    def __exit__(self, *_) -> None:
        for process in (self.router, self.process):
            if process is not None and process.poll() is None:
                process.kill()
                process.wait()
        self.log.close()

    def words(self) -> str:
        self.log.flush()
        return Path(self.log.name).read_text()

    def program(self, mtu: int = 1500) -> None:
        self.router = subprocess.Popen([ROUTER, self.run_dir, str(mtu)], text=True,
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        line = self.router.stdout.readline().strip()
        need(line == "ready", f"the programmer said {line!r}")

    def ask(self, word: str) -> list[str]:
        self.router.stdin.write(f"{word}\n")
        self.router.stdin.flush()
        return list(iter(lambda: self.router.stdout.readline().strip(), "."))

    def sleeps(self) -> int:
        return int(self.ask("sleeps")[0])

    def end(self) -> str:
        """In order, and nothing stays that only a running process has."""
        self.process.send_signal(signal.SIGTERM)
        need(self.process.wait(10) == 0, f"exit code {self.process.returncode}: {self.words()}")
        left = {p.name for p in self.run_dir.iterdir()} & {"lock", "dataplane.sock"}
        need(not left, f"left behind: {left}")
        need("not given back" not in self.words(), self.words())
        return self.words()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


# --- starting ---------------------------------------------------------------------------------

def with_hugepages(folder: Path) -> str:
    path = configure(folder, memory="{hugepages: required, megabytes: 64}")
    running = Running(path)
    if "memory.hugepages is required" in running.words():
        running.process.wait()
        raise Skipped(running.words().strip())
    with running:
        return running.ready + running.end()


def without_hugepages(folder: Path) -> str:
    with Running(configure(folder)) as running:
        running.end()
        return running.ready


def refusals(folder: Path) -> None:
    huge = "{hugepages: required, megabytes: 1048576}"
    interface = "ports: [{name: p0, kind: af_packet, interface: nowhere0}]"
    (folder / "file").write_text("")
    for name, code, words, ports, changed in (
            ("an unknown key", 3, "dataplane.yaml:5: wokers: is no key", RINGS, {"wokers": "[]"}),
            ("a missing core", 6, "core 4000 does not exist", RINGS,
             {"workers": "[{core: 4000}]"}),
            ("a core for two workers", 3, "is taken by workers[0]", RINGS,
             {"workers": f"[{{core: {CORE}}}, {{core: {CORE}}}]"}),
            ("a missing interface", 8, "nowhere0", interface, {}),
            ("a run_dir that cannot be made", 4, "cannot be made", RINGS,
             {"run_dir": str(folder / "file" / "run")}),
            ("a run_dir that cannot be written", 4, "cannot be", RINGS,
             {"run_dir": "/proc/sys"}),
            ("a folder for the tables that is not there", 4, "the tables' folder", RINGS,
             {"tables": "{folder: /nonexistent}"}),
            ("hugepages that cannot be had", 7, "memory.hugepages is required, but", RINGS,
             {"memory": huge})):
        tap.case(f"refused: {name}", refusal, code, words, configure(folder, ports, **changed))
    path = configure(folder)
    tap.case("refused: an unknown instruction set",
             lambda: refusal(3, "should be one of x86-64-v2, avx2", path, WYE_INSTRUCTION_SET="sse9"))


def second_instance(folder: Path) -> str:
    path = configure(folder)
    with Running(path) as first:
        text = refusal(5, f"another wye-dataplane (process {first.process.pid})", path)
        need((first.run_dir / "lock").exists(), "the refused one took the lock away")
        first.end()
        return text


def check_touches_nothing(folder: Path) -> str:
    interface = "ports: [{name: p0, kind: tap, interface: start9}]"
    path = configure(folder, interface, run_dir=str(folder / "untouched"))
    before = sorted(folder.rglob("*"))
    refusal(0, "", path, "--check")
    need(sorted(folder.rglob("*")) == before, "a file was made")
    need(not Path("/proc/sys/net/ipv4/conf/start9").exists(), "the TAP was made")
    return ""


def hardware_threads(folder: Path) -> str:
    path = configure(folder, workers="[{core: 0}, {core: 1}]")
    return refusal(0, "hardware threads of one physical core", path, "--check",
                   HWLOC_SYNTHETIC="package:1 core:2 pu:2")


def far_node(folder: Path) -> str:
    nic = 'ports: [{name: wan, kind: pci, address: "0000:81:00.0"}]'
    path = configure(folder, nic, workers="[{core: 0}]")
    return refusal(0, "every packet will cross the sockets", path, "--check",
                   HWLOC_XMLFILE=str(NIC_ON_NODE_ONE))


# --- idle -------------------------------------------------------------------------------------

def demand(pid: int) -> tuple[float, float]:
    """Seconds that the threads ran, and that they ran or waited for a core."""
    ran = waited = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        on, queued = (task / "schedstat").read_text().split()[:2]
        ran, waited = ran + int(on), waited + int(queued)
    return ran / 1e9, (ran + waited) / 1e9


def idle_load(folder: Path, mode: str) -> tuple[float, float, int]:
    """Of a core, over 2 s: used, wanted; and how often worker 0 slept meanwhile."""
    with Running(configure(folder, idle=mode)) as running:
        running.program()
        time.sleep(0.5)
        ran, wanted = demand(running.process.pid)
        slept, begun = running.sleeps(), time.monotonic()
        time.sleep(2)
        seconds = time.monotonic() - begun
        ran_then, wanted_then = demand(running.process.pid)
        slept = running.sleeps() - slept
        running.end()
        return (ran_then - ran) / seconds, (wanted_then - wanted) / seconds, slept


def adaptive_sleeps(folder: Path) -> str:
    used, _, slept = idle_load(folder, "adaptive")
    need(used < 0.10, f"{used:.0%} of a core")
    need(slept > 500, f"slept {slept} times in 2 s; steps are 1 ms at most")
    return f"{used:.1%} of a core, slept {slept} times in 2 s"


def poll_does_not(folder: Path) -> str:
    used, wanted, slept = idle_load(folder, "poll")
    need(slept == 0, f"slept {slept} times")
    need(0.9 < wanted, f"wanted only {wanted:.0%} of a core")
    return f"{used:.0%} of a core, {wanted:.0%} with what others took of it"


# --- ports ------------------------------------------------------------------------------------

def checksum(header: bytes) -> int:
    total = sum(struct.unpack(f">{len(header) // 2}H", header))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def ipv4_frame(destination: bytes, source: bytes, ttl: int, payload: bytes = b"wye" * 20,
               source_port: int = 7) -> bytes:
    """UDP from 10.1.0.10 to 10.2.0.10."""
    udp = struct.pack(">HHHH", source_port, 9, 8 + len(payload), 0) + payload
    header = struct.pack(">BBHHHBBH4B4B", 0x45, 0, 20 + len(udp), 1, 0, ttl, 17, 0,
                         10, 1, 0, 10, 10, 2, 0, 10)
    header = header[:10] + struct.pack(">H", checksum(header)) + header[12:]
    return destination + source + b"\x08\x00" + header + udp


def write_pcap(path: Path, frames: list[bytes]) -> None:
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
        for frame in frames:
            file.write(struct.pack("<IIII", 0, 0, len(frame), len(frame)) + frame)


def read_pcap(path: Path) -> list[bytes]:
    data, frames, at = path.read_bytes(), [], 24
    while at + 16 <= len(data) and len(frames) < 100000:
        length = struct.unpack_from("<I", data, at + 8)[0]
        frames.append(data[at + 16:at + 16 + length])
        at += 16 + length
    return frames


def mac(n: int, host: bool) -> bytes:
    return bytes((2, 0, 0, 0, n, 0x10 if host else 1))


def through_files(folder: Path, **environment: str) -> str:
    """In at p0, routed, out at p1: MAC addresses and TTL changed, checksum right."""
    write_pcap(folder / "in.pcap", [ipv4_frame(mac(1, False), mac(1, True), 64)])
    ports = (f"ports:\n  - {{name: p0, kind: pcap, receive_file: {folder}/in.pcap, repeat: true}}\n"
             f"  - {{name: p1, kind: pcap, transmit_file: {folder}/out.pcap}}\n"
             "  - {name: extra, kind: ring}\n  - {name: tap, kind: tap, interface: start0}")
    with Running(configure(folder, ports), **environment) as running:
        need(running.ready.endswith("4 ports"), running.ready)
        need(Path("/proc/sys/net/ipv4/conf/start0").exists(), "there is no TAP start0")
        running.program()
        variants = running.ask("variants")
        time.sleep(0.3)
        running.end()
    need(not Path("/proc/sys/net/ipv4/conf/start0").exists(), "the TAP stayed")
    wanted = ipv4_frame(mac(2, True), mac(2, False), 63)
    got = read_pcap(folder / "out.pcap")
    (folder / "out.pcap").unlink()
    need(wanted in got, f"{len(got)} frames, none as wanted; the first: {got[:1]}")
    odd = [f for f in got if f[:6] == wanted[:6] and f != wanted and f[12:14] == b"\x08\x00"]
    need(not odd, f"{len(odd)} frames to the host are not as wanted: {odd[:1]}")
    return f"{got.count(wanted)} frames; {', '.join(variants)}"


def lesser_variants(folder: Path) -> str:
    """The same with an instruction set forbidden, and it is told which is in use."""
    told = ""
    for limit, forbidden in (("avx2", ("AVX-512",)), ("x86-64-v2", ("AVX-512", "AVX2"))):
        (folder / limit).mkdir()
        told = through_files(folder / limit, WYE_INSTRUCTION_SET=limit)
        need(not any(name in told for name in forbidden), f"limit {limit}: {told}")
    need(told.count("x86-64-v2") == 4, told)
    return told


# --- tables -----------------------------------------------------------------------------------

def arenas(folder: Path) -> list[Path]:
    return sorted((folder / "run").glob("arena-*"))


def committed(folder: Path, **changed: str) -> None:
    """Leaves the tables of a killed data plane."""
    with Running(configure(folder, **changed)) as running:
        running.program()
        running.kill()
    need(len(arenas(folder)) == 1, str(arenas(folder)))


def recovered(folder: Path) -> str:
    committed(folder)
    with Running(configure(folder)) as running:
        text = running.words()
        need("until the tables are rebuilt" in text, text)
        running.end()
        return text.strip()


def damaged(folder: Path, at: int, value: bytes, words: str) -> str:
    """Refused for recovery, said, removed; and it starts, with a file of its own."""
    committed(folder)
    old = arenas(folder)[0]
    with open(old, "r+b") as file:
        file.seek(at)
        file.write(value)
    with Running(configure(folder)) as running:
        text = running.words()
        need(words in text and "starts with empty tables" in text, text)
        need(arenas(folder) != [old] and len(arenas(folder)) == 1, str(arenas(folder)))
        running.program()
        running.end()
        return text.strip().replace("\n", "; ")


def on_hugetlbfs(folder: Path) -> str:
    """There, then found from elsewhere; and every page is given back."""
    huge = folder / "huge"
    huge.mkdir()
    done = subprocess.run(["mount", "-t", "hugetlbfs", "-o", "pagesize=2M,size=32M", "none", huge],
                          capture_output=True, text=True)
    if done.returncode != 0:
        raise Skipped(f"needs hugetlbfs: {done.stderr.strip()}")
    try:
        free = int(NR_HUGEPAGES.with_name("free_hugepages").read_text())
        if free < 8:
            raise Skipped(f"needs 8 free huge pages, {free} are free")
        committed(folder, tables=f"{{folder: {huge}}}")
        need(arenas(folder)[0].is_symlink(), "the tables are in run_dir")
        place = arenas(folder)[0].resolve().parent
        need(place.parent == huge and place.stat().st_mode & 0o7777 == 0o750, str(place))
        pages = arenas(folder)[0].stat().st_blocks * 512 >> 21
        with Running(configure(folder)) as running:
            need("until the tables are rebuilt" in running.words(), running.words())
            running.program()
            for _ in range(50):
                if len(arenas(folder)) == 1:
                    break
                time.sleep(0.1)
            need(len(arenas(folder)) == 1 and not arenas(folder)[0].is_symlink(),
                 str(arenas(folder)))
            kilobytes = arenas(folder)[0].stat().st_blocks // 2
            running.end()
        need(not any(huge.iterdir()), f"left: {list(huge.rglob('*'))}")
        return f"{pages} huge pages; the same tables in run_dir: {kilobytes} KiB"
    finally:
        subprocess.run(["umount", huge], check=False)


def case(name: str, function, *arguments) -> None:
    """In a folder of its own; a skipped one says why."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix=NAME) as folder:
        try:
            text = function(Path(folder), *arguments) or ""
            tap.report(True, name, f"{time.monotonic() - begun:.1f} s {text}")
        except Skipped as why:
            tap.report(True, f"{name} # SKIP {why}")
        except Exception as error:  # a failure of this case must not end the others
            tap.report(False, name, f"{type(error).__name__}: {error}")


def everything() -> None:
    case("it starts with hugepages", with_hugepages)
    case("it starts without", without_hugepages)
    with tempfile.TemporaryDirectory(prefix=NAME) as folder:
        refusals(Path(folder))
    case("refused: a second instance", second_instance)
    case("--check touches nothing", check_touches_nothing)
    case("warned: two workers on one physical core", hardware_threads)
    case("warned: a worker far from its NIC", far_node)
    case("idle: adaptive sleeps", adaptive_sleeps)
    case("idle: poll does not", poll_does_not)
    case("frames from a file to a file; tap and ring ports", through_files)
    case("a lesser instruction set", lesser_variants)
    case("a killed one's tables are forwarded from", recovered)
    # ArenaHeader: magic (8 bytes), layout (4), state (4), instance (8), size (8)
    case("tables of another layout", damaged, 8, struct.pack("<I", 9999), "arena layout 9999")
    case("tables with another magic", damaged, 0, b"\0" * 8, "not an arena file")
    case("tables with an impossible size", damaged, 24, b"\xff" * 8, "sizes do not add up")
    case("tables with impossible limits", damaged, 40, b"\xff" * 24, "not forwarded from")
    case("tables on hugetlbfs", on_hugetlbfs)


def main() -> None:
    tap.need_root()
    if os.environ.get("WYE_START_INSIDE") != "1":
        os.environ["WYE_START_INSIDE"] = "1"
        unshare = shutil.which("unshare")
        os.execv(unshare, [unshare, "--net", "--mount", sys.executable, __file__])
    before = NR_HUGEPAGES.read_text() if NR_HUGEPAGES.exists() else None
    try:
        everything()
    finally:
        if before is not None and NR_HUGEPAGES.read_text() != before:
            NR_HUGEPAGES.write_text(before)
    tap.finish()


if __name__ == "__main__":
    main()
