#!/usr/bin/python3
"""Two NUMA nodes with a NIC each: what `wyectl host placement` plans, wye-dataplane does. Its buffers lie
where the NICs are, its threads run where the plan has them, and a node that lacks huge pages is named."""

import json
import re
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from guest import (PROGRAMS, RESULTS, SLOW, LabError, case, finish, make_vf,  # noqa: E402
                   require_guest, sh, wait_for)

FOLDER = Path("/run/wye/numa")
CONFIG = FOLDER / "dataplane.yaml"
PAGE_MEGABYTES = 2
vfs: dict[int, str] = {}  # node: PCI address


def need(true, why: str) -> None:
    if not true:
        raise LabError(why)


def configure(nodes: list[int], cores: list[int], megabytes: int = 128, pages: str = "required",
              ports: str = "") -> None:
    nics = "".join(f'  - {{name: nic{node}, kind: pci, address: "{vfs[node]}"}}\n' for node in nodes)
    CONFIG.write_text(f"""
instance: numa
run_dir: {FOLDER}
workers: [{", ".join(f"{{core: {core}}}" for core in cores)}]
memory: {{hugepages: {pages}, megabytes: {megabytes}}}
limits: {{table_megabytes: 64}}
ports:
{nics}{ports}""")


def plan() -> dict:
    done = sh(f"{PROGRAMS['wyectl']} host placement --json --config {CONFIG}")
    return json.loads(done.stdout)


def warnings(planned: dict) -> list[str]:
    return [one["text"] for one in planned["advice"] if one["severity"] == "warning"]


def pages_of(node: int, which: str = "nr") -> int:
    return int(Path(f"/sys/devices/system/node/node{node}/hugepages/hugepages-2048kB/{which}_hugepages")
               .read_text())


class Running:
    """wye-dataplane with the configuration as it is now."""

    def __enter__(self) -> "Running":
        self.log = RESULTS / "numa.log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([PROGRAMS["wye-dataplane"], "--config", CONFIG],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)

        def ready() -> bool:
            if (code := self.process.poll()) is not None:
                raise LabError(f"ended with {code}: {self.said()}")
            return ": ready," in self.said()
        wait_for(ready, "the data plane does not come up", SLOW)
        return self

    def __exit__(self, *_) -> None:
        self.process.terminate()
        self.process.wait(20)

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def huge_megabytes(self) -> dict[int, int]:
        """Of each node, in huge pages that it has touched."""
        found: dict[int, int] = {}
        for line in Path(f"/proc/{self.process.pid}/numa_maps").read_text().splitlines():
            # Not of the tables, which are a file.
            if "kernelpagesize_kB=2048" not in line or "wye-numa/" in line:
                continue
            for node, pages in re.findall(r"\bN(\d+)=(\d+)", line):
                found[int(node)] = found.get(int(node), 0) + int(pages) * PAGE_MEGABYTES
        return found

    def threads(self) -> list[tuple[str, list[int]]]:
        """Each thread's name and CPUs."""
        found = []
        for task in Path(f"/proc/{self.process.pid}/task").iterdir():
            status = (task / "status").read_text()
            cpus: list[int] = []
            for part in re.search(r"Cpus_allowed_list:\s*(\S*)", status)[1].split(","):
                first, _, last = part.partition("-")
                cpus += range(int(first), int(last or first) + 1)
            found.append(((task / "comm").read_text().strip(), cpus))
        return found


def prepare() -> str:
    for node in (0, 1):
        vfs[node] = make_vf(f"pf{node}", f"52:54:00:77:79:1{node}")
    FOLDER.mkdir(parents=True, exist_ok=True)
    return f"{vfs}"


def planned_for_two_nodes() -> str:
    configure([0, 1], [1, 3])
    planned = plan()
    need([node["node"] for node in planned["machine"]["nodes"]] == [0, 1], f"nodes: {planned}")
    ports = {port["name"]: (port["nodes"], port["buffers_on"]) for port in planned["ports"]}
    need(ports == {"nic0": ([0], 0), "nic1": ([1], 1)}, f"ports: {ports}")
    need(any("several NUMA nodes" in text for text in warnings(planned)), str(warnings(planned)))
    memory = {node["node"]: (node["megabytes"], node["buffers"] > 0) for node in planned["memory"]}
    need(memory == {0: (64, True), 1: (64, True)}, f"memory: {memory}")
    return f"{memory}"


def far_worker() -> str:
    configure([1], [1])
    said = [text for text in warnings(plan()) if "is on NUMA node 0, but port" in text]
    need(len(said) == 1 and vfs[1] in said[0] and "on node 1" in said[0], f"{warnings(plan())}")
    return said[0]


def far_worker_runs() -> str:
    """As it was told not to: the buffers are with the NIC all the same, in one pool."""
    configure([1], [1])
    with Running() as running:
        need("warning: worker 0 (core 1) is on NUMA node 0" in running.said(), running.said())
        need("packet buffers on NUMA node 1" in running.said(), running.said())
        need("on NUMA node 0\n" not in running.said(), running.said())
        there = running.huge_megabytes()
    need(there.get(1, 0) >= 96 and there.get(0, 0) == 0, f"MiB by node: {there}")
    return f"MiB by node: {there}"


def both_nodes_run() -> str:
    configure([0, 1], [1, 3], ports='  - {name: tap, kind: tap, interface: tap9}\n')
    planned = plan()
    others = {other["cpu"] for other in planned["others"]}
    with Running() as running:
        need("several NUMA nodes" in running.said(), running.said())
        made = dict(re.findall(r"(\d+) packet buffers on NUMA node (\d)", running.said()))
        wanted = {str(node["buffers"]): str(node["node"]) for node in planned["memory"]}
        need(made == wanted, f"{made}, planned {wanted}")
        there = running.huge_megabytes()
        for node in planned["memory"]:
            got = there.get(node["node"], 0)
            need(node["megabytes"] * 3 / 4 <= got <= node["megabytes"] + 8, f"MiB by node: {there}")
        threads = running.threads()
    workers = sorted(cpus[0] for _, cpus in threads if len(cpus) == 1 and cpus[0] in (1, 3))
    need(workers == [1, 3], f"workers: {threads}")
    loose = [(name, cpus) for name, cpus in threads
             if cpus not in ([1], [3]) and not set(cpus) <= others]
    need(not loose and len(threads) > 4, f"not on {sorted(others)}: {loose} of {threads}")
    return f"MiB by node: {there}; {len(threads) - 2} others on {sorted(others)}"


def one_region() -> str:
    """A memif that shares the buffers themselves can tell of the lowest node's memory alone."""
    memif = "  - {name: m, kind: memif, role: client, zero_copy: true, socket: /run/wye/numa/m.sock}\n"
    configure([1], [3], ports=memif)
    planned = plan()
    need({port["name"]: port["buffers_on"] for port in planned["ports"]} == {"nic1": 0, "m": 0},
         f"{planned['ports']}")
    with Running() as running:
        need("packet buffers on NUMA node 0" in running.said(), running.said())
        need("on NUMA node 1\n" not in running.said(), running.said())
        there = running.huge_megabytes()
    need(there.get(0, 0) >= 96 and there.get(1, 0) < 16, f"MiB by node: {there}")
    return f"MiB by node: {there}"


def lacking_pages() -> str:
    """More than half of what node 1 has free is not taken; node 0 is not asked."""
    configure([1], [3], megabytes=1000)
    before = (pages_of(0), pages_of(1))
    done = sh(f"{PROGRAMS['wye-dataplane']} --config {CONFIG}", check=False)
    said = done.stderr.strip()
    need(done.returncode == 7, f"exit code {done.returncode}: {said}")
    named = re.search(r"NUMA node 1 lacks (\d+) of 501 hugepages.*run: echo (\d+) > (\S+)$", said)
    need(named and "node 0 lacks" not in said, said)
    need(int(named[1]) == 501 - pages_of(1, "free"), said)
    need(Path(named[3]).exists() and "node1" in named[3], said)
    need((pages_of(0), pages_of(1)) == before, "nr_hugepages was changed")
    configure([1], [3], megabytes=1000, pages="auto", ports="")
    begun = time.monotonic()
    with Running() as running:
        need("goes on without hugepages, slower: NUMA node 1 lacks" in running.said(), running.said())
        need(running.huge_megabytes() == {}, f"{running.huge_megabytes()}")
    return f"{named[0]}; without in {time.monotonic() - begun:.0f} s"


require_guest()
case("a VF of each NIC", prepare)
case("the plan names nodes and NICs, and has buffers for both", planned_for_two_nodes)
case("a worker on the far node is warned of", far_worker)
case("its buffers are with the NIC", far_worker_runs)
case("with NICs on both nodes buffers and threads are where the plan has them", both_nodes_run)
case("with a zero-copy memif all buffers are on the lowest node", one_region)
case("a node without enough huge pages is named, with what mends it", lacking_pages)
finish()
