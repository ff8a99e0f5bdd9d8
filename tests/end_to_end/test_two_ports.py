#!/usr/bin/python3
"""wye-dataplane alone, with a programmer in place of the shim: two Linux hosts on two af_packet
ports, twins, the ledger, and a data plane that is killed and forwards again before anyone has
programmed it.

    host 1 ── h1 (veth) r0 ─ wye-dataplane ─ r1 (veth) h2 ── host 2
                              │ twins site1, site2 in a namespace of their own
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

BUILD = Path(os.environ.get("WYE_BUILD", Path(__file__).resolve().parents[2] / "build"))
DATAPLANE = BUILD / "dataplane" / "main" / "wye-dataplane"
ROUTER = BUILD / "tests" / "tools" / "wye-two-ports"
MARK = f"wye-tp{os.getpid()}"
OFFLOADS = "tx off sg off tso off gso off gro off"
count = failed = 0


def sh(command: str, check: bool = True, **options) -> subprocess.CompletedProcess:
    return subprocess.run(command, shell=True, check=check, text=True, capture_output=True,
                          **options)


def place(name: str) -> str:
    return f"{MARK}-{name}"


def inside(name: str, command: str, **options) -> subprocess.CompletedProcess:
    return sh(f"ip netns exec {place(name)} {command}", **options)


def case(name: str, function) -> bool:
    global count, failed
    count += 1
    begun = time.monotonic()
    try:
        text = function() or ""
        print(f"ok {count} - {name}\n# {time.monotonic() - begun:.1f} s {text}", flush=True)
        return True
    except Exception as error:  # a failure of this case must not end the others
        failed += 1
        words = str(error)
        if isinstance(error, subprocess.CalledProcessError):
            words += f"\n{error.stdout}\n{error.stderr}"
        lines = "\n".join("# " + line for line in
                          (words + "\n" + traceback.format_exc()).splitlines())
        print(f"not ok {count} - {name}\n{lines}", flush=True)
        return False


class Bench:
    """The namespaces, the data plane and the programmer."""

    def __init__(self, folder: Path, workers: int) -> None:
        self.workers = workers
        self.run_dir = folder / "run"
        self.config = folder / "dataplane.yaml"
        self.log = open(folder / "dataplane.log", "w+", encoding="utf-8")
        cores = sorted(os.sched_getaffinity(0))[-workers:]
        self.config.write_text(f"""
instance: {MARK}
run_dir: {self.run_dir}
workers: [{", ".join(f"{{core: {core}}}" for core in cores)}]
memory: {{hugepages: never, megabytes: 96}}
ports:
  - {{name: p0, kind: af_packet, interface: r1}}
  - {{name: p1, kind: af_packet, interface: r2}}
""", encoding="utf-8")
        self.dataplane: subprocess.Popen | None = None
        self.router: subprocess.Popen | None = None

    def build(self) -> None:
        for name in ("wire", "kernel", "host1", "host2"):
            sh(f"ip netns add {place(name)}")
            inside(name, "ip link set lo up")
        for n in (1, 2):
            host = f"host{n}"
            inside("wire", f"ip link add r{n} type veth peer name eth0 netns {place(host)}")
            inside("wire", f"sysctl -qw net.ipv6.conf.r{n}.disable_ipv6=1")
            inside("wire", f"ip link set r{n} arp off up")
            inside("wire", f"ethtool -K r{n} {OFFLOADS}")
            inside(host, "sysctl -qw net.ipv6.conf.eth0.accept_dad=0 "
                         "net.ipv6.conf.eth0.accept_ra=0")
            inside(host, f"ethtool -K eth0 {OFFLOADS}")
            inside(host, f"ip link set eth0 address 02:00:00:00:0{n}:10 up")
            inside(host, f"ip address add 10.{n}.0.10/24 dev eth0")
            inside(host, f"ip address add fd00:{n}::10/64 dev eth0")
            inside(host, f"ip route add default via 10.{n}.0.1")
            inside(host, f"ip -6 route add default via fd00:{n}::1")

    def start_dataplane(self) -> str:
        self.dataplane = subprocess.Popen(
            ["ip", "netns", "exec", place("wire"), str(DATAPLANE), "--config", str(self.config)],
            stdout=subprocess.PIPE, stderr=self.log, text=True)
        line = self.dataplane.stdout.readline().strip()
        assert line == f"wye-dataplane: ready, instance {MARK}, {self.workers} workers, 2 ports", line
        return line

    def start_router(self) -> None:
        self.router = subprocess.Popen(
            ["ip", "netns", "exec", place("kernel"), str(ROUTER), str(self.run_dir)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        line = self.router.stdout.readline().strip()
        assert line == "ready", f"the programmer said {line!r}"

    def stop_router(self) -> None:
        self.router.stdin.close()
        assert self.router.wait(5) == 0
        self.router = None

    def ask(self, word: str) -> list[str]:
        self.router.stdin.write(word + "\n")
        self.router.stdin.flush()
        lines = []
        while (line := self.router.stdout.readline().strip()) != ".":
            assert line, "the programmer ended"
            lines.append(line)
        return lines

    def balanced(self) -> str:
        """Traffic rests; packets on hold need up to three seconds to be given up."""
        for _ in range(50):
            lines = self.ask("ledger")
            if lines == ["balanced"]:
                return ""
            time.sleep(0.1)
        raise AssertionError("\n".join(lines))

    def down(self) -> None:
        for process in (self.router, self.dataplane):
            if process is not None and process.poll() is None:
                process.kill()
                process.wait()
        for name in ("wire", "kernel", "host1", "host2"):
            sh(f"ip netns delete {place(name)}", check=False)

    def read_log(self) -> str:
        self.log.seek(0)
        return self.log.read()


def ping(host: str, address: str, packets: int = 20) -> str:
    done = inside(host, f"ping -n -i 0.02 -c {packets} -W 2 {address}", check=False)
    summary = [line for line in done.stdout.splitlines() if "packet loss" in line or "rtt" in line]
    assert " 0% packet loss" in done.stdout, f"{done.stdout}\n{done.stderr}"
    return "; ".join(summary)


def tcp(address: str) -> str:
    server = subprocess.Popen(["ip", "netns", "exec", place("host2"), "iperf3", "-s", "-1"],
                              stdout=subprocess.DEVNULL)
    try:
        for _ in range(50):
            done = inside("host1", f"iperf3 -J -t 2 -c {address}", check=False)
            report = json.loads(done.stdout)
            if "error" not in report:
                break
            time.sleep(0.1)
        assert "error" not in report, report["error"]
        megabits = report["end"]["sum_received"]["bits_per_second"] / 1e6
        assert megabits > 5, f"only {megabits:.1f} Mb/s"
        return f"{megabits:.0f} Mb/s"
    finally:
        server.kill()
        server.wait()


def second_instance(bench: Bench) -> str:
    done = inside("wire", f"{DATAPLANE} --config {bench.config}", check=False)
    assert done.returncode == 5, f"exit code {done.returncode}: {done.stderr}"
    assert "another wye-dataplane" in done.stderr, done.stderr
    return done.stderr.strip()


def device_in_use(bench: Bench) -> str:
    other = bench.config.with_name("other.yaml")
    other.write_text(bench.config.read_text(encoding="utf-8")
                     .replace(str(bench.run_dir), str(bench.run_dir) + "2"), encoding="utf-8")
    done = inside("wire", f"{DATAPLANE} --config {other}", check=False)
    assert done.returncode == 8, f"exit code {done.returncode}: {done.stderr}"
    assert 'port "p0": interface "r1" is in use by another data plane' in done.stderr, done.stderr
    return done.stderr.strip()


def missing_core(bench: Bench) -> str:
    other = bench.config.with_name("core.yaml")
    other.write_text(bench.config.read_text(encoding="utf-8")
                     .replace("workers: [{core: ", "workers: [{core: 4000}, {core: "),
                     encoding="utf-8")
    done = sh(f"{DATAPLANE} --config {other} --check", check=False)
    assert done.returncode == 6 and "core 4000 does not exist" in done.stderr, done.stderr
    return done.stderr.strip()


def bad_configuration(bench: Bench) -> str:
    other = bench.config.with_name("bad.yaml")
    other.write_text("instance: x\nwokers: []\nports: 3\n", encoding="utf-8")
    done = sh(f"{DATAPLANE} --config {other}", check=False)
    assert done.returncode == 3 and len(done.stderr.splitlines()) == 3, done.stderr
    return done.stderr.strip().replace("\n", "; ")


def killed_and_back(bench: Bench) -> str:
    """From the arena that the killed process left, before anyone programs the new one."""
    bench.stop_router()  # no shim either
    bench.dataplane.send_signal(signal.SIGKILL)
    bench.dataplane.wait()
    begun = time.monotonic()
    bench.start_dataplane()
    ready = time.monotonic() - begun
    text = ping("host1", "10.2.0.10")
    ping("host1", "fd00:2::10")
    assert "until the tables are rebuilt" in bench.read_log(), bench.read_log()
    return f"ready after {ready:.2f} s; {text}"


def orderly_end(bench: Bench) -> str:
    bench.dataplane.send_signal(signal.SIGTERM)
    assert bench.dataplane.wait(5) == 0
    log = bench.read_log()
    assert "ends at SIGTERM" in log, log
    assert "not given back" not in log, log
    return ""


def whole_story(bench: Bench) -> None:
    if not case("the data plane starts", bench.start_dataplane):
        return
    case("a second instance is refused", lambda: second_instance(bench))
    case("a device in use is refused", lambda: device_in_use(bench))
    case("a missing core is refused", lambda: missing_core(bench))
    case("a bad configuration is refused whole", lambda: bad_configuration(bench))
    if not case("a router is programmed", bench.start_router):
        return
    case("host 1 pings the router, IPv4", lambda: ping("host1", "10.1.0.1"))
    case("host 2 pings the router, IPv6", lambda: ping("host2", "fd00:2::1"))
    case("hosts ping each other, IPv4", lambda: ping("host1", "10.2.0.10"))
    case("hosts ping each other, IPv6", lambda: ping("host2", "fd00:1::10"))
    case("the router pings a host", lambda: ping("kernel", "10.1.0.10"))
    case("TCP over IPv4", lambda: tcp("10.2.0.10"))
    case("TCP over IPv6", lambda: tcp("fd00:2::10"))
    case("the ledger balances", bench.balanced)
    case("killed, it forwards again at once", lambda: killed_and_back(bench))
    case("a router is programmed again", bench.start_router)
    case("the twins are served again", lambda: ping("host1", "10.1.0.1"))
    case("hosts ping each other as before", lambda: ping("host1", "10.2.0.10"))
    case("the ledger balances again", bench.balanced)
    print("# drops: " + ", ".join(bench.ask("drops")))
    case("it ends in order, without a leak", lambda: orderly_end(bench))


def two_workers(bench: Bench) -> None:
    if not case("with two workers it starts", bench.start_dataplane):
        return
    if not case("with two workers a router is programmed", bench.start_router):
        return
    case("two workers serve the twins", lambda: (ping("host1", "10.1.0.1"),
                                                 ping("host2", "fd00:2::1"))[0])
    case("two workers carry TCP", lambda: tcp("10.2.0.10"))
    case("two workers' ledger balances", bench.balanced)
    case("two workers end in order, without a leak", lambda: orderly_end(bench))


def run(story, workers: int) -> None:
    with tempfile.TemporaryDirectory(prefix=MARK) as folder:
        bench = Bench(Path(folder), workers)
        try:
            bench.build()
            before = failed
            story(bench)
            if failed > before:
                print("\n".join("# " + line for line in bench.read_log().splitlines()))
        finally:
            bench.down()


def main() -> int:
    if os.geteuid() != 0:
        print("1..0 # SKIP needs root: it makes network namespaces")
        return 0
    run(whole_story, 1)
    if len(os.sched_getaffinity(0)) >= 2:
        run(two_workers, 2)
    print(f"1..{count}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
