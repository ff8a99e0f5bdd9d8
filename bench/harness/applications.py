"""Applications that stand on net_wye_source (bench/source-pmd), and how they are measured.

All of a comparison are started, and stopped by SIGSTOP but for the one that is being measured. So
runs are short and alternate often: what disturbs the machine disturbs all of them, or none."""

import mmap
import os
import signal
import struct
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import frames

TOP = Path(__file__).resolve().parents[2]


class Missing(RuntimeError):
    """Something is not there; the text says what to do about it."""


def need(path, remedy):
    if not path or not Path(path).exists():
        raise Missing(f"{path} is not there: {remedy}")
    return Path(path)


def tail(log):
    return "\n".join(Path(log).read_text(errors="replace").splitlines()[-15:])


@dataclass
class Sample:
    mpps: float     # of the workers' processor time, all workers together
    sent: float     # as a part of what was received
    running: float  # processor time as a part of the time that passed


class Source:
    """The driver's arguments and its shared file (struct shared in source_pmd.c)."""

    QUEUES, BYTES = 16, 128 * 17

    def __init__(self, driver, folder, template, size=frames.SIZE):
        self.driver, self.template, self.size = driver, template, size
        self.counters, self.capture = folder / "counters", folder / "capture.pcap"
        self.words = None

    def arguments(self, number=0, extra=""):
        return (f"net_wye_source{number},size={self.size},template={self.template},"
                f"counters={self.counters},capture={self.capture}{extra}")

    def opened(self):
        if not self.counters.exists() or self.counters.stat().st_size < self.BYTES:
            return False
        if self.words is None:
            with open(self.counters, "r+b") as file:
                self.words = mmap.mmap(file.fileno(), self.BYTES)
        return True

    def choose(self, window):
        """Which of the templates are sent: (first, count)."""
        struct.pack_into("QQ", self.words, 0, *window)

    def read(self):
        """(received, sent) of all queues."""
        pairs = [struct.unpack_from("QQ", self.words, 128 * (queue + 1))
                 for queue in range(self.QUEUES)]
        return sum(pair[0] for pair in pairs), sum(pair[1] for pair in pairs)


class Application:
    """One process. `programmer`: a command that is run once it polls, and leaves."""

    def __init__(self, name, command, source, folder, check, programmer=None, workers=1):
        self.name, self.command, self.source = name, command, source
        self.log, self.check, self.workers = folder / "log", check, workers
        self.programmer, self.process = programmer, None

    def start(self):
        with open(self.log, "wb") as output:
            self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=output,
                                            stderr=output)
        self.wait_for(self.source.opened, 60, "did not open the source")
        self.wait_for(lambda: self.source.read()[0] > 0, 60, "did not start polling")
        if self.programmer:
            done = subprocess.run(self.programmer, timeout=120, stderr=subprocess.PIPE, text=True)
            if done.returncode != 0:
                raise RuntimeError(f"{self.name}: {done.stderr.strip()}")
        # The driver captures after a million: what is sent is what will be measured.
        self.wait_for(lambda: self.source.read()[1] > 2_000_000, 60, "does not forward")
        self.check(frames.read_capture(self.source.capture))
        self.pause()

    def wait_for(self, condition, seconds, what):
        until = time.monotonic() + seconds
        while not condition():
            if self.process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"{self.name} {what}; its last words:\n{tail(self.log)}")
            time.sleep(0.02)

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def stop(self):
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        self.resume()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def processor_times(self):
        """{thread: nanoseconds that it had a processor}."""
        times = {}
        for task in Path(f"/proc/{self.process.pid}/task").iterdir():
            try:
                times[task.name] = int((task / "schedstat").read_text().split()[0])
            except OSError:
                continue  # it has just ended
        return times

    def read(self):
        return time.monotonic_ns(), self.processor_times(), self.source.read()

    def run(self, window, seconds):
        """Resumes, lets the caches fill, measures, pauses."""
        self.source.choose(window)
        self.resume()
        try:
            time.sleep(0.05 + seconds / 4)
            before = self.read()
            time.sleep(seconds)
            after = self.read()
        finally:
            self.pause()
        if self.process.poll() is not None:
            raise RuntimeError(f"{self.name} ended; its last words:\n{tail(self.log)}")
        return self.compare(before, after)

    def compare(self, before, after):
        """The workers are the threads that ran most: they poll. What others on their cores took is
        not theirs."""
        (begun, times, (received, sent)), (ended, later, (received_later, sent_later)) = before, after
        worked = sorted((later[thread] - time for thread, time in times.items() if thread in later),
                        reverse=True)[:self.workers]
        mean = sum(worked) / self.workers
        packets = sent_later - sent
        if not mean or packets < 0.995 * (received_later - received) - 1000:
            raise RuntimeError(f"{self.name} lost packets: {packets} of "
                               f"{received_later - received} were sent")
        return Sample(packets / mean * 1e3, packets / max(received_later - received, 1),
                      mean / (ended - begun))


class Workbench:
    """Where applications are made: scratch files, pages, cores, templates."""

    def __init__(self, folder, hugepages_wanted):
        self.folder = folder  # of the build
        self.driver = need(folder / "bench/source-pmd/wye_source_pmd.so",
                           "run bench/fetch-dpdk-headers, then scripts/build")
        cpus = sorted(os.sched_getaffinity(0))
        if len(cpus) < 2:
            raise Missing("two CPUs are needed, one for the worker and one for the rest")
        self.main_cpu, self.worker_cpu = cpus[-2], cpus[-1]
        self.hugepages_wanted, self.hugepages = hugepages_wanted, False
        self.started, self.files, self.count = {}, {}, 0

    def __enter__(self):
        # Templates of 64 MiB: memory, not a disk.
        base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.temporary = tempfile.TemporaryDirectory(prefix="wye-bench-", dir=base)
        self.scratch = Path(self.temporary.name)
        self.table_folder = self.mount_pages() if self.hugepages_wanted else None
        return self

    def __exit__(self, *_):
        for key in list(self.started):
            self.end(key)
        if self.table_folder:
            subprocess.run(["umount", self.table_folder], check=False)
        self.temporary.cleanup()

    def mount_pages(self):
        """A hugetlbfs of our own for wye's tables, as peers have theirs on huge pages. Pages are only
        ever added, never taken away."""
        path = Path("/proc/sys/vm/nr_hugepages")
        pages = 3200  # all at once: l3fwd twice, the source's users, wye and its tables
        try:
            if int(path.read_text()) < pages:
                path.write_text(str(pages))
            self.hugepages = int(path.read_text()) >= pages
        except OSError:
            return None
        folder = self.scratch / "pages"
        folder.mkdir()
        mount = ["mount", "-t", "hugetlbfs", "-o", "pagesize=2M", "none", str(folder)]
        if self.hugepages and subprocess.run(mount, stderr=subprocess.DEVNULL).returncode == 0:
            return str(folder)
        return None

    def file(self, name, make):
        """A file in the scratch folder, made once."""
        if name not in self.files:
            content = make()
            path = self.scratch / name
            path.write_bytes(content.encode() if isinstance(content, str) else content)
            self.files[name] = path
        return self.files[name]

    def new_folder(self, name):
        self.count += 1
        folder = self.scratch / f"{self.count}-{name}"
        folder.mkdir()
        return folder

    def memory(self, megabytes, name):
        """EAL options, all alike with or without huge pages."""
        kind = (["--in-memory", "--iova-mode=va"] if self.hugepages
                else ["--no-huge", "--no-shconf"])
        return [*kind, "--no-pci", "-m", str(megabytes), "--no-telemetry",
                f"--file-prefix=wye-bench-{os.getpid()}-{name}", "-d", str(self.driver)]

    def application(self, key, make):
        if key not in self.started:
            application = make()
            self.started[key] = application
            try:
                application.start()
            except BaseException:
                self.end(key)
                raise
        return self.started[key]

    def end(self, key):
        application = self.started.pop(key, None)
        if application:
            application.stop()
