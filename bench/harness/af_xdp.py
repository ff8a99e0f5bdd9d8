"""Ports on a Linux interface: wye on one end of a veth pair, by its AF_XDP port or by one of DPDK's.

Each that is measured has a network namespace of its own, with a pair `port` and `far`. The source
(bench/whole_path/linux_source) sends by `far`, as native XDP does, faster than a worker takes it, on the
other CPU; what the router sends back is thrown away there. What a worker's second is worth then
includes its system calls, and what the kernel does in them for the frames that are sent."""

import signal
import subprocess
import time
from pathlib import Path

import frames
from applications import Application, Missing, Sample, Source, need, tail

PORTS = {
    "own": "kind: af_xdp, interface: port, steer: all, mode: native",
    "dpdk": 'kind: vdev, devargs: "net_af_xdp0,iface=port,busy_budget=0"',
    "dpdk busy": 'kind: vdev, devargs: "net_af_xdp0,iface=port"',
}


class OnVeth(Application):
    def __init__(self, bench, port, template, table):
        folder = bench.new_folder("veth-" + port.replace(" ", "-"))
        dataplane = need(bench.folder / "dataplane/main/wye-dataplane", "run scripts/build")
        program = need(bench.folder / "bench/whole_path/program", "run scripts/build")
        self.sender = need(bench.folder / "bench/whole_path/linux_source", "run scripts/build")
        configuration = folder / "dataplane.yaml"
        pages = "required" if bench.hugepages else "never"
        configuration.write_text(f"""instance: {folder.name}
run_dir: {folder}/run
workers: [{{core: {bench.worker_cpu}}}]
idle: poll
memory: {{hugepages: {pages}, megabytes: 256}}
ports:
  - {{name: source, rx_descriptors: 2048, tx_descriptors: 2048, {PORTS[port]}}}
""")
        super().__init__(f"wye {port}", [str(dataplane), "--config", str(configuration)],
                         Source(bench.driver, folder, template), folder, frames.check_routed,
                         [str(program), f"{folder}/run/dataplane.sock", "route", str(table)])
        self.sender_cpu, self.sending, self.template = bench.main_cpu, None, template

    def inside(self, *words, **options):
        return subprocess.run(["nsenter", "--target", str(self.sending.pid), "--net", *words],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)

    def prepare(self):
        """The sender makes the namespace, and sends once it is told to."""
        with open(self.log, "ab") as output:
            self.sending = subprocess.Popen(
                ["unshare", "--net", "taskset", "--cpu-list", str(self.sender_cpu), str(self.sender),
                 str(self.template), str(self.source.counters), str(self.source.capture),
                 "far", "far", "redirect"], stdin=subprocess.PIPE, stdout=output, stderr=output)
        self.process = self.sending
        self.wait_for(self.source.opened, 10, "did not start")
        self.process = None
        done = self.inside("sh", "-ec", """
            ip link add port numrxqueues 1 numtxqueues 1 type veth peer name far numrxqueues 1 numtxqueues 1
            for end in port far; do
                sysctl -qw net.ipv6.conf.$end.disable_ipv6=1
                ethtool -K $end tx off sg off tso off gso off gro off >/dev/null
                ip link set $end arp off up
            done""")
        if done.returncode != 0:
            raise Missing(f"no veth pair: {done.stdout.strip()[:200]}")

    def start(self):
        self.prepare()
        with open(self.log, "ab") as output:
            self.process = subprocess.Popen(
                ["nsenter", "--target", str(self.sending.pid), "--net", *self.command],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        self.wait_for(lambda: "ready, instance" in Path(self.log).read_text(), 60, "did not start")
        done = subprocess.run(self.programmer, timeout=120, stderr=subprocess.PIPE, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"{self.name}: {done.stderr.strip()}")
        self.sending.stdin.write(b"\n")
        self.sending.stdin.flush()
        self.wait_for(lambda: self.sent() > 100_000, 30, "does not forward")
        done = self.inside("tcpdump", "-Z", "root", "-c", "32", "-Q", "in", "-i", "far", "-w",
                           str(self.source.capture), timeout=20)
        if done.returncode != 0:
            raise Missing(f"tcpdump: {done.stdout.strip()[:200]}")
        self.check(frames.read_capture(self.source.capture))
        self.pause()

    def pause(self):
        for process in (self.sending, self.process):
            if process is not None:
                process.send_signal(signal.SIGSTOP)

    def resume(self):
        for process in (self.process, self.sending):
            if process is not None:
                process.send_signal(signal.SIGCONT)

    def stop(self):
        super().stop()
        if self.sending is not None:
            self.sending.kill()
            self.sending.wait()

    def sent(self):
        """By the router, as its interface counts."""
        for line in Path(f"/proc/{self.sending.pid}/net/dev").read_text().splitlines():
            name, _, counters = line.strip().partition(":")
            if name == "port":
                return int(counters.split()[9])
        return 0

    def read(self):
        return time.monotonic_ns(), self.processor_times(), self.sent()

    def compare(self, before, after):
        (begun, times, sent), (ended, later, sent_later) = before, after
        worked = max(later[thread] - took for thread, took in times.items() if thread in later)
        packets = sent_later - sent
        if not packets or not worked:
            raise RuntimeError(f"{self.name} sent nothing; its last words:\n{tail(self.log)}\n"
                               + self.inside("ip", "-s", "link", "show", "port").stdout
                               + f"sender: {self.sending.poll()}")
        return Sample(packets / worked * 1e3, 1.0, worked / (ended - begun))
