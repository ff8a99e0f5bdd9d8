"""One worker from receive to transmit, beside dpdk-testpmd on the same source.

The port is net_wye_source (bench/source-pmd), which counts into a file, so that all applications
are measured alike, from outside. They run one after the other, each in a process of its own, in
rounds: A B C A B C …, so that a neighbour of the machine disturbs all of them or none."""

import mmap
import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import figures
import frames

TOP = Path(__file__).resolve().parents[2]
MEGABYTES = 256


class Missing(RuntimeError):
    """Something is not there; the text says what to do about it."""


class Applications:
    """What is run, and with which source."""

    def __init__(self, folder, scratch, hugepages):
        self.folder, self.scratch, self.hugepages = folder, scratch, hugepages
        self.driver = need(folder / "bench/source-pmd/wye_source_pmd.so",
                           "run bench/fetch-dpdk-headers, then scripts/build")
        self.counters = scratch / "counters"
        self.capture = scratch / "capture.pcap"
        self.template = scratch / "template"
        self.template.write_bytes(frames.template())
        cpus = sorted(os.sched_getaffinity(0))
        if len(cpus) < 2:
            raise Missing("two CPUs are needed, one for the worker and one for the rest")
        self.main_cpu, self.worker_cpu = cpus[-2], cpus[-1]

    def source(self):
        return (f"net_wye_source0,size={frames.SIZE},template={self.template},"
                f"counters={self.counters},capture={self.capture}")

    def wye(self):
        """Programmed by bench/whole_path/program, which leaves; forwarding goes on."""
        dataplane = need(self.folder / "dataplane/main/wye-dataplane", "run scripts/build")
        program = need(self.folder / "bench/whole_path/program", "run scripts/build")
        run_dir = self.scratch / "run"
        configuration = self.scratch / "dataplane.yaml"
        configuration.write_text(f"""instance: bench-{os.getpid()}
run_dir: {run_dir}
workers: [{{core: {self.worker_cpu}}}]
idle: poll
memory: {{hugepages: {"required" if self.hugepages else "never"}, megabytes: {MEGABYTES}}}
eal_drivers: [{self.driver}]
ports:
  - {{name: source, kind: vdev, devargs: "{self.source()}"}}
limits: {{table_megabytes: 256}}
""")
        shutil.rmtree(run_dir, ignore_errors=True)
        return ([str(dataplane), "--config", str(configuration)],
                [str(program), str(run_dir / "dataplane.sock")])

    def testpmd(self, mode):
        memory = (["--in-memory", "--iova-mode=va"] if self.hugepages
                  else ["--no-huge", "--no-shconf"])
        return [find_testpmd(), "-l", f"{self.main_cpu},{self.worker_cpu}", *memory, "--no-pci",
                "-m", str(MEGABYTES), f"--file-prefix=wye-bench-{os.getpid()}",
                "--no-telemetry", "-d", str(self.driver), f"--vdev={self.source()}",
                "--", "--nb-cores=1", "--port-topology=loop", f"--forward-mode={mode}",
                "--total-num-mbufs=16384", "--auto-start"], None


def need(path, remedy):
    if not path.exists():
        raise Missing(f"{path} is not there: {remedy}")
    return path


def find_testpmd():
    found = shutil.which("dpdk-testpmd")
    if found:
        return found
    cache = subprocess.run([str(TOP / "bench/fetch-dpdk-headers"), "--print"],
                           stdout=subprocess.PIPE, text=True).stdout.strip()
    return str(need(Path(cache or "/nonexistent") / "bin/dpdk-testpmd",
                    "run bench/fetch-dpdk-headers"))


@contextmanager
def running(command, log):
    """The application, stopped on leaving by a signal that it ends cleanly on."""
    with open(log, "wb") as output:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=output, stderr=output)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


class Counters:
    """{received, sent} as the driver writes them."""

    def __init__(self, path):
        with open(path, "rb") as file:
            self.words = mmap.mmap(file.fileno(), 16, prot=mmap.PROT_READ)

    def read(self):
        return struct.unpack("QQ", self.words)


def wait_for(condition, seconds, process, log, what):
    until = time.monotonic() + seconds
    while not condition():
        if process.poll() is not None or time.monotonic() > until:
            raise RuntimeError(f"{what}; its last words:\n{tail(log)}")
        time.sleep(0.02)


def tail(log):
    return "\n".join(Path(log).read_text(errors="replace").splitlines()[-15:])


def processor_times(process):
    """{thread: nanoseconds that it had a processor}."""
    times = {}
    for task in Path(f"/proc/{process.pid}/task").iterdir():
        try:
            times[task.name] = int((task / "schedstat").read_text().split()[0])
        except OSError:
            continue  # it has just ended
    return times


@dataclass
class Sample:
    mpps: float     # of the worker's processor time
    sent: float     # as a part of what was received
    running: float  # processor time as a part of the time that passed


def sample(counters, process, seconds):
    """The worker is the thread that ran most: it polls. What others on its core took is not its."""
    begun, times, (received, sent) = (time.monotonic_ns(), processor_times(process),
                                      counters.read())
    time.sleep(seconds)
    ended, later, (received_later, sent_later) = (time.monotonic_ns(), processor_times(process),
                                                  counters.read())
    worked = max(later[thread] - before for thread, before in times.items() if thread in later)
    packets = sent_later - sent
    return Sample(packets / worked * 1e3, packets / max(received_later - received, 1),
                  worked / (ended - begun))


def run_once(applications, commands, check, seconds):
    """Mpps of one run of one application, by the worker's processor time."""
    command, programmer = commands
    log = applications.scratch / "log"
    for left in (applications.counters, applications.capture):
        left.unlink(missing_ok=True)
    with running(command, log) as process:
        name = Path(command[0]).name
        wait_for(lambda: applications.counters.exists() and
                 applications.counters.stat().st_size >= 16, 20, process, log,
                 f"{name} did not open the source")
        counters = Counters(applications.counters)
        wait_for(lambda: counters.read()[0] > 0, 20, process, log, f"{name} did not start polling")
        if programmer:
            subprocess.run(programmer, check=True, timeout=60)
        wait_for(lambda: counters.read()[1] > 2_000_000, 20, process, log,
                 f"{name} does not forward")
        time.sleep(seconds / 2)
        taken = sample(counters, process, seconds)
    if taken.sent < 0.999:
        raise RuntimeError(f"{name} lost packets: only {taken.sent:.1%} of them were sent")
    if taken.running < 0.95:
        print(f"bench: the worker of {name} had its CPU for only {taken.running:.0%} of the time: "
              "something else runs here", file=sys.stderr)
    check(frames.read_capture(applications.capture))
    return taken.mpps


def choose_hugepages(arguments):
    """All alike with, or all without. Pages are only ever added, never taken away."""
    if arguments.no_hugepages:
        return False
    wanted = 2 * MEGABYTES // 2
    path = Path("/proc/sys/vm/nr_hugepages")
    try:
        if int(path.read_text()) < wanted:
            path.write_text(str(wanted))
        return int(path.read_text()) >= wanted
    except OSError:
        return False


def measure(folder, arguments):
    rounds, seconds = (3, 0.5) if arguments.quick else (7, 2.0)
    hugepages = choose_hugepages(arguments)
    names = ["testpmd-io", "testpmd-macswap", "wye"]
    results = {name: [] for name in names}
    with tempfile.TemporaryDirectory(prefix="wye-bench-") as scratch:
        try:
            applications = Applications(folder, Path(scratch), hugepages)
            plan = [("testpmd-io", applications.testpmd("io"), frames.check_unchanged),
                    ("testpmd-macswap", applications.testpmd("macswap"), frames.check_swapped),
                    ("wye", applications.wye(), frames.check_encapsulated)]
            for number in range(rounds):
                print(f"bench: whole-path, round {number + 1} of {rounds} …", file=sys.stderr,
                      flush=True)
                for name, commands, check in plan:
                    results[name].append(run_once(applications, commands, check, seconds))
        except Missing as missing:
            return [figures.Row("whole-path", None, "Mpps", why=str(missing))]
    noise = arguments.noise
    rows = [figures.row_of(f"whole-path/{name}", "Mpps", results[name], noise)
            for name in names[:2]]
    for peer in names[:2]:
        rows.append(figures.row_of("whole-path/route+acl+geneve", "Mpps", results["wye"], noise,
                                   peer, results[peer]))
    return rows
