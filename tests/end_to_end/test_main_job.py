#!/usr/bin/python3
"""The whole product's story, with the ledger after every step: what scripts/demo shows."""

from tap import FreshLab, balanced, case, finish

from labkit.story import Story

with FreshLab("test-main") as fresh:
    story = Story(fresh.lab)
    for title, step in Story.STEPS:
        case(title, step, story)
        case(f"ledger after: {title}", balanced, fresh.topology)
finish()
