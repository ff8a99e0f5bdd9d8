"""The axes along which a router grows, their points, and what of it must stay in the caches.

A working set is what comes round again and again: where it becomes larger than a cache, the curve may
bend, and the plots draw a line there. These are sums of what is known of the structures, not measured."""

from dataclasses import dataclass
from typing import Callable

LINE = 64
FIB_BYTES = 9_500_000  # of the real table (fib4-bytes)
ALL_ROUTES = 901_899


@dataclass
class Axis:
    label: str
    points: tuple
    bytes: Callable  # of the working set
    words: str       # what it is made of


AXES = {
    "tenants": Axis("tenants, 64 k flows among them",
                    (1, 4, 16, 64, 256, 512, 1024, 2048, 4096),
                    lambda count: 24 * LINE * count,
                    "24 cache lines a tenant: vport, policy, FIB, exit, counters"),
    "flows": Axis("flows, in turn", (1, 16, 64, 256, 1024, 4096, 16384, 65536, 1 << 18, 1 << 19, 1 << 20),
                  lambda count: LINE * count + min(2 * LINE * count, FIB_BYTES),
                  "a line of template a flow, two lines of FIB, 9 MiB of it at most"),
    "rules": Axis("rules in the ACL, 64 k flows", (10, 30, 100, 300, 1000, 3000, 10000),
                  lambda count: 100 * count, "100 bytes of ACL a rule"),
    "routes": Axis("IPv4 routes, 64 k flows among them",
                   (1000, 3000, 10000, 30000, 100000, 300000, ALL_ROUTES),
                   lambda count: FIB_BYTES * count // ALL_ROUTES, "10.5 bytes of FIB a route"),
}


def crossing(axis, size):
    """The least count whose working set is larger than `size`; None where the axis ends before."""
    low, high = axis.points[0] - 1, axis.points[-1]
    if axis.bytes(high) <= size:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if axis.bytes(middle) <= size else (low, middle)
    return high
