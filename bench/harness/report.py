"""Renders the tables of docs/performance.md from the JSON of scripts/bench.

What is between `<!-- bench:SECTION -->` and `<!-- bench:end -->` is replaced; all else is text by hand
and stays as it is."""

import re

import figures
import plots
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


def growth_table(family, lines):
    """A row for each count, a column for each line of the plot."""
    names = sorted(lines)
    points = {name: dict(lines[name]) for name in names}
    made = ["", f"| {family} | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for count in sorted({count for name in names for count in points[name]}):
        figures_of_row = (number(points[name].get(count)) for name in names)
        made.append(f"| {count} | {' | '.join(figures_of_row)} |")
    return made


def growth_tables(rows):
    made = ["Nanoseconds for a packet."]
    for family, lines in sorted(plots.growth_series(rows).items()):
        made += growth_table(family, lines)
    missing = [row.name for row in rows if row.name.startswith("growth/") and row.value is None]
    return (made if len(made) > 1 else []) + ([f"Not measured: {', '.join(missing)}."] if missing else [])


def section_of(name, wanted):
    """Of a row without a target."""
    for beginning, section in (("table-fib/", "fib"), ("table-acl/", "acl"),
                               ("path-", "whole-path"), ("pipeline-", "whole-path"),
                               ("linux-", "whole-path")):
        if name.startswith(beginning):
            return section == wanted
    return False


def merged(documents):
    """One of several: a later one's row takes the place of an earlier one's of the same name. The machine
    is the last one's."""
    rows = {row["name"]: row for document in documents for row in document["rows"]}
    return {"machine": documents[-1]["machine"], "rows": list(rows.values()),
            "quick": any(document["quick"] for document in documents)}


def render(section, document, drawn):
    rows = [figures.Row(**row) for row in document["rows"]]
    if section == "machine":
        machine = document["machine"]
        lines = [f"{machine['processor']}, {machine['cpus']} CPUs, Linux {machine['kernel']}; load "
                 f"when the run ended {machine['load']:.1f}."]
        if document["quick"]:
            lines.append("These figures are of a `--quick` run: they show that it works.")
        return lines
    if section == "growth":
        lines = growth_tables(rows)
        return lines + pictures(section, drawn)
    loaded = targets.load()
    judged_by = [target for target in loaded.values() if target["section"] == section]
    lines = target_table({row.name: row for row in rows}, judged_by) if judged_by else []
    lines += other_table([row for row in rows
                          if row.name not in loaded and section_of(row.name, section)])
    return lines + pictures(section, drawn)


def pictures(section, drawn):
    return [line for path in drawn.get(section, [])
            for line in ("", f"![{path.stem}]({path.as_posix()})")]


def write(document, drawn, page=PAGE):
    """`drawn`: {section: paths of plots as seen from the page}."""
    def replaced(match):
        lines = render(match[2], document, drawn)
        return match[1] + "".join(f"{line}\n" for line in lines) + match[3]
    page.write_text(SECTION.sub(replaced, page.read_text()))
