#!/usr/bin/python3
"""Workers of a running data plane, by wyectl: added, moved, given queues, evened out, removed, while
packets without end come in by a port that is spread in software and by one that has a queue for each.
They belong to no vport, so each is received and dropped; what is judged is who received them, and that
every worker's ledger balances. Without a namespace of its own: no interface is touched."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

import tap

BUILD = Path(os.environ.get("WYE_BUILD", Path(__file__).resolve().parents[2] / "build"))
DATAPLANE = BUILD / "dataplane" / "main" / "wye-dataplane"
SHIM = BUILD / "controlplane-shim" / "main" / "wye-shim"
WYECTL = BUILD / "controlplane-shim" / "cli" / "wyectl"
NAME = f"wye-workers-{os.getpid()}"
CORES = sorted(os.sched_getaffinity(0))


def need(condition: bool, text: str) -> None:
    if not condition:
        raise tap.LabError(text)


class Router:
    def __init__(self, folder: Path) -> None:
        self.run_dir = folder / "run"
        config = folder / "dataplane.yaml"
        config.write_text(f"""
instance: {NAME}
run_dir: {self.run_dir}
workers: [{{core: {CORES[0]}}}]
max_workers: 3
memory: {{hugepages: never, megabytes: 96}}
ports:
  - {{name: spread, kind: vdev, devargs: "net_null_spread0,size=64", spread: true}}
  - {{name: queues, kind: vdev, devargs: "net_null_queues0,size=64"}}
""", encoding="utf-8")
        manifest = folder / "manifest.yaml"
        manifest.write_text("apiVersion: wye/v1\ntenants: []\n", encoding="utf-8")
        self.log = open(folder / "log", "w+", encoding="utf-8")
        self.dataplane = subprocess.Popen([DATAPLANE, "--config", config], text=True,
                                          stdout=subprocess.PIPE, stderr=self.log)
        need("ready" in self.dataplane.stdout.readline(), f"not ready: {self.words()}")
        self.shim = subprocess.Popen([SHIM, "--instance", NAME, "--run-dir", self.run_dir,
                                      "--manifest", manifest], stdout=self.log, stderr=self.log)

    def connected(self) -> None:
        self.until(lambda: any(row["state"] == "connected" for row in self.show("status")
                               if row["item"] == "data plane"), "no session")

    def words(self) -> str:
        self.log.flush()
        return Path(self.log.name).read_text(encoding="utf-8")

    def wyectl(self, *words: str, code: int = 0) -> str:
        done = subprocess.run([WYECTL, "--socket", self.run_dir / "shim.sock", *words], text=True,
                              capture_output=True, timeout=60)
        need(done.returncode == code, f"{words}: exit code {done.returncode}: {done.stderr}")
        return done.stdout + done.stderr

    def show(self, what: str) -> list[dict]:
        done = subprocess.run([WYECTL, "--socket", self.run_dir / "shim.sock", "show", what,
                               "--json"], text=True, capture_output=True, timeout=60)
        return json.loads(done.stdout) if done.returncode == 0 else []

    def until(self, done, text: str, seconds: float = 20) -> None:
        end = time.monotonic() + seconds
        while not done():
            need(time.monotonic() < end, f"{text}\n{self.words()}")
            time.sleep(0.05)

    def states(self) -> dict[int, str]:
        return {row["worker"]: row["state"] for row in self.show("workers")}

    def received(self) -> dict[int, int]:
        return {row["worker"]: row["rx_packets"] for row in self.show("workers")}

    def end(self) -> None:
        for process in (self.shim, self.dataplane):
            process.terminate()
            process.wait(20)


def receives(router: Router, worker: int) -> None:
    before = router.received().get(worker, 0)
    router.until(lambda: router.received().get(worker, 0) > before,
                 f"worker {worker} receives nothing")


def one_alone(router: Router) -> str:
    receives(router, 0)
    need(router.states() == {0: "running"}, f"{router.states()}")
    text = router.wyectl("show", "workers")
    for heading in ("BUSY cycles", "IDLE cycles", "BURST packets", "FULL %", "STATE"):
        need(heading in text, f"no {heading} in {text}")
    return f"{len(router.show('queues'))} queues"


def added(router: Router) -> str:
    core = str(CORES[-1])
    share = ["--share"] if len(CORES) == 1 else []
    need("added worker 1" in router.wyectl("worker", "add", "--core", core, *share), "not said")
    receives(router, 1)
    need("another worker has this core" in
         router.wyectl("worker", "add", "--core", core, code=1), "a core for two")
    router.wyectl("worker", "add", "--core", core, "--share")
    receives(router, 2)
    need("no room" in router.wyectl("worker", "add", "--core", core, "--share", code=1), "a fourth")
    owners = [row["worker"] for row in router.show("queues") if row["kind"] == "share"]
    counts = {worker: owners.count(worker) for worker in (0, 1, 2)}
    need(max(counts.values()) - min(counts.values()) <= 1, f"shares: {counts}")
    return f"shares: {counts}"


def moved(router: Router) -> None:
    router.wyectl("worker", "move", "2", "--core", str(CORES[0]), "--share")
    router.until(lambda: {row["worker"]: row["core"] for row in router.show("workers")}[2] ==
                 CORES[0], "worker 2 is not where it was moved to")
    receives(router, 2)
    need("no such core" in router.wyectl("worker", "move", "2", "--core", "8000", code=1), "8000")
    need("no such worker" in router.wyectl("worker", "move", "9", "--core", "0", code=1), "9")
    for queue, worker, why in (("0", "9", "no such worker"), ("4000", "0", "no such queue")):
        said = router.wyectl("worker", "place", queue, worker, code=1)
        need(f"worker {worker} for queue {queue}: there is {why}" in said, said)


def evened_out(router: Router) -> str:
    for row in router.show("queues"):
        if row["kind"] == "queue":
            router.wyectl("worker", "place", str(row["queue"]), "0")
    time.sleep(0.3)
    before = {row["queue"]: row["worker"] for row in router.show("queues")}
    plan = router.wyectl("worker", "rebalance", "--dry-run")
    need("would be moved" in plan, f"nothing to even out: {plan}")
    need(before == {row["queue"]: row["worker"] for row in router.show("queues")}, "it moved")
    done = router.wyectl("worker", "rebalance")
    need("moved queue" in done, f"nothing evened out: {done}")
    need(before != {row["queue"]: row["worker"] for row in router.show("queues")}, "it did not")
    return done


def removed(router: Router) -> str:
    router.wyectl("worker", "remove", "1")
    router.wyectl("worker", "remove", "2")
    need("last worker" in router.wyectl("worker", "remove", "0", code=1), "the last one")
    router.until(lambda: router.states() == {0: "running", 1: "absent", 2: "absent"},
                 "they do not end")
    before = router.received()
    receives(router, 0)
    after = router.received()
    need(before[1] == after[1] and before[2] == after[2], "one that is absent receives")
    need({row["worker"] for row in router.show("queues") if row["kind"] != "hand-over"} == {0},
         "queues of workers that are no more")
    router.wyectl("worker", "add", "--core", str(CORES[-1]), "--share")
    receives(router, 1)
    return f"{after}"


def balanced(router: Router) -> str:
    router.dataplane.terminate()
    router.dataplane.wait(20)
    rows = [row for row in router.show("counters") if row["scope"] == "worker"]
    off = [row for row in rows if row["balance"] != 0]
    need(len(rows) == 4 and not off, f"{off or rows}")
    lost = [row for row in router.show("drops") if row["reason"] == "worker_queue_full"]
    return f"{sum(row.get('packets', 0) for row in lost) // 2} found a worker's queue full"


with tempfile.TemporaryDirectory(prefix="wye-workers-") as name:
    bench = Router(Path(name))
    try:
        tap.case("the shim connects", bench.connected)
        tap.case("one worker has everything", one_alone, bench)
        tap.case("workers are added and get their part", added, bench)
        tap.case("a worker moves to another core", moved, bench)
        tap.case("the load is evened out", evened_out, bench)
        tap.case("workers are removed, and one comes back", removed, bench)
        tap.case("every packet is accounted for", balanced, bench)
    finally:
        bench.end()
tap.finish()
