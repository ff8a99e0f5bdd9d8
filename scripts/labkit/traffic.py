"""Traffic between the lab's hosts: pings, TCP, and numbered streams that show every loss."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from dataclasses import dataclass

from .places import Lab, LabError
from .topology import BUILD, POPS, TENANTS, site_number

STREAM = BUILD / "tests" / "tools" / "wye-stream"


def host(tenant: str, pop: str) -> str:
    return f"{tenant}-host-{pop}"


def other(pop: str) -> str:
    return "b" if pop == "a" else "a"


def host_address(pop: str, family: int) -> str:
    n = site_number(pop)
    return f"10.{n}.0.10" if family == 4 else f"fd00:{n}::10"


@dataclass(frozen=True)
class Flow:
    """One direction of one tenant's pair of hosts, in one family."""

    tenant: str
    source: str  # PoP
    family: int
    port: int = 7000

    def __str__(self) -> str:
        return f"{self.tenant} {self.source}→{other(self.source)} IPv{self.family} port {self.port}"


def every_flow(port: int = 7000, families=(4, 6)) -> list[Flow]:
    return [Flow(tenant, pop, family, port + family)
            for tenant in TENANTS for pop in POPS for family in families]


@dataclass
class StreamResult:
    flow: Flow
    sent: int
    received: int
    duplicates: int
    reordered: int
    longest_gap_ms: float
    gap_from_ns: int
    last_ns: int
    worst_delay_ms: float

    @property
    def lost(self) -> int:
        return self.sent - self.received


class Streams:
    """Numbered datagrams on several flows at once, from now until stop() or for `seconds`."""

    def __init__(self, lab: Lab, flows: list[Flow], rate: int, seconds: float) -> None:
        self.flows = flows
        self.receivers: dict[Flow, subprocess.Popen] = {}
        self.senders: dict[Flow, subprocess.Popen] = {}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        for flow in flows:
            self.receivers[flow] = lab.spawn(host(flow.tenant, other(flow.source)), str(STREAM),
                                             "receive", str(flow.port), **pipes)
        for flow in flows:
            line = self.receivers[flow].stderr.readline()
            if "ready" not in line:
                raise LabError(f"stream {flow}: the receiver does not start: {line.strip()}")
        for flow in flows:
            self.senders[flow] = lab.spawn(host(flow.tenant, flow.source), str(STREAM), "send",
                                           host_address(other(flow.source), flow.family),
                                           str(flow.port), str(rate), str(seconds), **pipes)

    def stop(self) -> None:
        """Senders stop now; what is on the way still arrives."""
        for sender in self.senders.values():
            if sender.poll() is None:
                end_child(sender)

    def results(self, timeout: float = 120) -> list[StreamResult]:
        """Waits for the senders to end, and for what is still on the way."""
        sent = {flow: json.loads(p.communicate(timeout=timeout)[0])["sent"]
                for flow, p in self.senders.items()}
        time.sleep(0.7)
        results = []
        for receiver in self.receivers.values():
            end_child(receiver)
        for flow, receiver in self.receivers.items():
            got = json.loads(receiver.communicate(timeout=10)[0])
            results.append(StreamResult(flow, sent[flow], got["received"], got["duplicates"],
                                        got["reordered"], got["longest_gap_ms"],
                                        got["gap_from_ns"], got["last_ns"],
                                        got["worst_delay_ms"]))
        return results


def end_child(process: subprocess.Popen) -> None:
    signal_child(process, signal.SIGTERM)


def signal_child(process: subprocess.Popen, number: int) -> None:
    """To the program behind nsenter, which execs it in place but for one fork."""
    children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(process.pid)],
                              capture_output=True, text=True).stdout.split()
    while children:
        deeper = subprocess.run(["ps", "-o", "pid=", "--ppid", children[0]],
                                capture_output=True, text=True).stdout.split()
        if not deeper:
            break
        children = deeper
    for pid in children or [str(process.pid)]:
        with contextlib.suppress(ProcessLookupError):  # it ended by itself
            os.kill(int(pid), number)


def ping(lab: Lab, place: str, address: str, count: int = 3, interval: float = 0.2,
         size: int = 56) -> int:
    """Answers to `count` echo requests."""
    done = lab.run(place, "ping", "-n", "-c", str(count), "-i", str(interval), "-W", "1",
                   "-s", str(size), address, check=False)
    for line in done.stdout.splitlines():
        if "packets transmitted" in line:
            return int(line.split(",")[1].split()[0])
    raise LabError(f"ping at {place} did not run: {done.stdout}{done.stderr}")


def tcp_megabits(lab: Lab, tenant: str, source: str, family: int, seconds: float = 1.0,
                 port: int = 5201) -> float:
    """A TCP transfer between a tenant's hosts; the rate at which it was received, in Mbit/s."""
    target = host(tenant, other(source))
    server = lab.spawn(target, "iperf3", "-s", "-1", "-p", str(port), "--forceflush",
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        while True:
            line = server.stdout.readline()
            if not line:
                raise LabError(f"the iperf3 server at {target} ended before it listened")
            if "listening" in line:
                break
        done = lab.run(host(tenant, source), "iperf3", "-c",
                       host_address(other(source), family), "-p", str(port), "-t", str(seconds),
                       "-J", "--connect-timeout", "3000", check=False, timeout=30)
        answer = json.loads(done.stdout)
        if "error" in answer:
            raise LabError(f"TCP {tenant} {source}→{other(source)} IPv{family}: {answer['error']}")
        return answer["end"]["sum_received"]["bits_per_second"] / 1e6
    finally:
        if server.poll() is None:
            end_child(server)
        server.stdout.close()
        server.wait(10)
