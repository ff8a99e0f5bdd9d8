#!/usr/bin/python3
"""The whole product's story, with the ledger after every step: what scripts/demo shows."""

from tap import FreshLab, balanced, case, finish

from labkit.places import LabError
from labkit.story import Story
from labkit.traffic import host_address, ping


def inject(lab) -> str:
    """The router's own packets follow the fast path's table: the kernel has no such routes."""
    for tenant in ("red", "blue"):
        routes = lab.run("a", "ip", "netns", "exec", tenant, "ip", "route").stdout
        if "10.2.0.0/24" in routes:
            raise LabError(f"the kernel has a route to 10.2.0.0/24 in {tenant}")
        for family in (4, 6):
            got = ping(lab, f"a/{tenant}", host_address("b", family), 3)
            if got != 3:
                raise LabError(f"{tenant}: {got} of 3 answers from {host_address('b', family)}")
    return "12 answers, none by a route of the kernel"


with FreshLab("test-main") as fresh:
    story = Story(fresh.lab)
    for title, step in Story.STEPS:
        case(title, step, story)
        case(f"ledger after: {title}", balanced, fresh.topology)
    case("the router's own traffic enters by inject", inject, fresh.lab)
finish()
