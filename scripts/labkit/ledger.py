"""The ledger: every packet that came is accounted for, on each worker, port and tenant."""

from __future__ import annotations

import time

from .topology import POPS, Topology

COMES = ("rx", "from_host", "generated", "moved_in")
GOES = ("tx", "dropped", "punted", "consumed", "moved_out", "held")


def imbalances(topology: Topology, pop: str) -> list[str]:
    """Rows that do not balance, in words. Traffic must rest, else packets are on their way."""
    faults = []
    rows = topology.show(pop, "counters")
    for row in rows:
        if row["scope"] not in ("worker", "port", "tenant"):
            continue
        comes = sum(row.get(cell, 0) for cell in COMES)
        goes = sum(row.get(cell, 0) for cell in GOES)
        if comes != goes:
            faults.append(f"PoP {pop}, {row['scope']} {row['name']}: {comes} came, {goes} are "
                          f"accounted for ({ {k: row.get(k, 0) for k in COMES + GOES} })")
    if not any(row["scope"] == "port" for row in rows):
        faults.append(f"PoP {pop} shows no port in its counters")
    return faults


def check(topology: Topology, pops=POPS, seconds: float = 5) -> list[str]:
    """Waits for traffic to rest, then gives what does not balance on these PoPs."""
    deadline = time.monotonic() + seconds
    while True:
        faults = [fault for pop in pops for fault in imbalances(topology, pop)]
        if not faults or time.monotonic() > deadline:
            return faults
        time.sleep(0.2)
