"""Linux's own forwarding of IPv4, in a network namespace that ends with its only process.

That process (bench/whole_path/linux_source) lets frames come in by one device; they leave by another,
which frees them. Both are ifb devices: they have neither descriptors nor a queue, like
net_wye_source. All is done by the one thread, whose processor time is what counts, as everywhere."""

import subprocess
from pathlib import Path

import frames
from applications import Application, Missing, Source, need

NEXT_HOPS = 256  # as bench/whole_path/program.cc has


class KernelSource(Source):
    """The window is in the shared file; the kernel counts, in the process's namespace."""

    def __init__(self, driver, folder, template):
        super().__init__(driver, folder, template)
        self.process = None

    def read(self):
        """(received by IP, given to the device `out`)."""
        folder = Path(f"/proc/{self.process.pid}/net")
        names, values = [line.split() for line in (folder / "snmp").read_text().splitlines()
                         if line.startswith("Ip:")]
        received = int(values[names.index("InReceives")])
        for line in (folder / "dev").read_text().splitlines():
            name, _, counters = line.strip().partition(":")
            if name == "out":
                return received, int(counters.split()[3])  # what it was given it counts as dropped
        return received, 0


def nexthop_of(number):
    return 1 + number * 2654435761 % 2**32 % NEXT_HOPS


def commands(prefixes):
    """For ip -batch: devices, neighbours, routes."""
    for name in ("in", "out"):
        yield f"link add {name} address {frames.ROUTER_MAC.hex(':')} type ifb"
        yield f"link set {name} up"
    yield "address add 169.254.0.1/16 dev out"
    for number in range(NEXT_HOPS):
        gateway = f"169.254.1.{number}"
        yield f"neighbor replace {gateway} lladdr {frames.NEXT_MAC.hex(':')} dev out nud permanent"
        yield f"nexthop add id {number + 1} via {gateway} dev out"
    for number, prefix in enumerate(prefixes):
        yield f"route add {prefix} nhid {nexthop_of(number)}"


class LinuxForwarding(Application):
    def __init__(self, bench, template, table):
        folder = bench.new_folder("linux")
        program = need(bench.folder / "bench/whole_path/linux_source", "run scripts/build")
        source = KernelSource(bench.driver, folder, template)
        super().__init__("linux", [
            "unshare", "--net", "taskset", "--cpu-list", str(bench.worker_cpu), str(program),
            str(template), str(source.counters), str(source.capture), "in", "out"],
            source, folder, frames.check_routed)
        self.table = table

    def in_namespace(self, *words, text=None):
        done = subprocess.run(["nsenter", "--target", str(self.process.pid), "--net", *words],
                              input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode != 0:
            raise Missing(f"{words[0]}: {done.stdout.strip()[:200]}")

    def start(self):
        with open(self.log, "wb") as output:
            self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=output,
                                            stderr=output)
        self.source.process = self.process
        try:
            self.wait_for(self.source.opened, 10, "did not start")
            prefixes = Path(self.table).read_text().split()
            self.in_namespace("ip", "-batch", "-", text="\n".join(commands(prefixes)) + "\n")
            self.in_namespace("tc", "qdisc", "replace", "dev", "out", "root", "noqueue")
            self.in_namespace("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
            self.process.stdin.write(b"\n")
            self.process.stdin.flush()
            self.wait_for(lambda: self.source.read()[1] > 100_000, 30, "does not forward")
        except RuntimeError as error:  # a row to compare with: other kernels may lack what it needs
            raise Missing(str(error)) from None
        self.check(frames.read_capture(self.source.capture))
        self.pause()
