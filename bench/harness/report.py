"""Renders the tables of docs/performance.md from the JSON of scripts/bench.

What is between `<!-- bench:SECTION -->` and `<!-- bench:end -->` is replaced; all else is text by hand
and stays as it is."""

import re

import figures
import targets

PAGE = targets.FILE.parents[1] / "docs" / "performance.md"
SECTION = re.compile(r"(<!-- bench:(?!end)([a-z-]+) -->\n).*?(<!-- bench:end -->)", re.DOTALL)


def number(value):
    return "" if value is None else f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def bound(target, key):
    if target[key] >= 1e9:
        return "works"
    sign = "≥" if target["sense"] == "at_least" else "≤"
    return f"{sign} {target[key]:g} {'×' if target['judged'] == 'ratio' else target['unit']}"


def verdict(target, row):
    if row.value is None:
        return f"not measured: {row.why}"
    if targets.keeps(target, row, target["goal"]):
        return "goal"
    return "must" if row.met else "**not met**"


def target_table(rows, judged_by):
    lines = ["| row | what | wye | peer | ratio | must | goal | met |", "|---|---|---|---|---|---|---|---|"]
    for target in judged_by:
        row = rows.get(target["name"]) or figures.Row(target["name"], None, target["unit"],
                                                      why="not in this run")
        wye = f"{number(row.value)} {row.unit}" if row.value is not None else ""
        peer = f"{row.peer} {number(row.peer_value)}" if row.peer_value is not None else ""
        lines.append(f"| {row.name} | {target['what']} | {wye} | {peer} | {number(row.ratio)} | "
                     f"{bound(target, 'must')} | {bound(target, 'goal')} | {verdict(target, row)} |")
    return lines


def other_table(rows):
    measured = [row for row in rows if row.value is not None]
    if not measured:
        return []
    lines = ["", "| row | wye | spread | peer | ratio |", "|---|---|---|---|---|"]
    for row in measured:
        peer = f"{row.peer} {number(row.peer_value)}" if row.peer_value is not None else ""
        lines.append(f"| {row.name} | {number(row.value)} {row.unit} | {row.spread:.0%} | {peer} | "
                     f"{number(row.ratio)} |")
    return lines


def section_of(name, wanted):
    """Of a row without a target."""
    for beginning, section in (("growth/", "growth"), ("table-fib/", "fib"), ("table-acl/", "acl"),
                               ("path-", "whole-path"), ("pipeline-", "whole-path")):
        if name.startswith(beginning):
            return section == wanted
    return False


def render(section, document, plots):
    rows = [figures.Row(**row) for row in document["rows"]]
    if section == "machine":
        machine = document["machine"]
        lines = [f"{machine['processor']}, {machine['cpus']} CPUs, Linux {machine['kernel']}; load "
                 f"when the run ended {machine['load']:.1f}."]
        if document["quick"]:
            lines.append("These figures are of a `--quick` run: they show that it works.")
        return lines
    loaded = targets.load()
    judged_by = [target for target in loaded.values() if target["section"] == section]
    lines = target_table({row.name: row for row in rows}, judged_by) if judged_by else []
    lines += other_table([row for row in rows
                          if row.name not in loaded and section_of(row.name, section)])
    for plot in plots.get(section, []):
        lines += ["", f"![{plot.stem}]({plot.as_posix()})"]
    return lines


def write(document, plots, page=PAGE):
    """`plots`: {section: paths as seen from the page}."""
    def replaced(match):
        lines = render(match[2], document, plots)
        return match[1] + "".join(f"{line}\n" for line in lines) + match[3]
    page.write_text(SECTION.sub(replaced, page.read_text()))
