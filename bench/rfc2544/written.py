"""The report of scripts/rfc2544: figures as JSON, and a page of Markdown with plots beside it."""

import json
import platform
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "harness"))

import figures  # noqa: E402
import measure  # noqa: E402
import plots  # noqa: E402

# Of the kernel's arguments those that a figure depends on.
ARGUMENTS = {"isolcpus", "nohz_full", "rcu_nocbs", "mitigations", "intel_iommu", "amd_iommu", "iommu",
             "hugepages", "hugepagesz", "default_hugepagesz", "intel_pstate", "idle", "nosmt",
             "processor.max_cstate", "intel_idle.max_cstate", "irqaffinity"}
LATENCIES = ("min", "p50", "p90", "p99", "p99_9", "max")
LATENCY_NAMES = ("least", "median", "90 %", "99 %", "99.9 %", "most")


def write(folder, result):
    """`result` as scripts/rfc2544 makes it, growing; the paths that were written."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text(json.dumps(result, indent=1) + "\n")
    try:
        drawn = draw(folder, result)
    except plots.Unavailable as error:
        drawn = []
        print(f"rfc2544: no plots: {error}", file=sys.stderr)
    (folder / "report.md").write_text(page(result, drawn))
    return [folder / "report.json", folder / "report.md", *drawn]


def machine():
    return {**figures.machine(), "host": platform.node(),
            "when": time.strftime("%Y-%m-%d %H:%M:%S %Z"),
            "arguments": " ".join(word for word in Path("/proc/cmdline").read_text().split()
                                  if word.partition("=")[0] in ARGUMENTS)}


def rate(value):
    """Frames a second, readable."""
    if value is None:
        return "none"
    for unit, size in (("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:.4g} {unit}pps"
    return f"{value:.4g} pps"


def bits(value, size):
    """On the wire, with preamble and gap, of frames of `size` bytes."""
    if value is None or not size:
        return "-"
    each = value * 8 * (size + measure.ETHERNET_GAP)
    return f"{each / 1e9:.4g} Gb/s" if each >= 1e9 else f"{each / 1e6:.4g} Mb/s"


def page(result, drawn):
    plan, lines = result["plan"], []
    lines += [f"# {result['title']}", "", *machine_lines(result), *plan_lines(plan), ""]
    if result["sizes"]:
        lines += throughput_lines(result) + latency_lines(result)
        lines += loss_lines(result) + burst_lines(result)
    for path in drawn:
        lines += [f"![{path.stem}]({path.name})", ""]
    return "\n".join(lines).rstrip() + "\n"


def machine_lines(result):
    machine_, generator = result["machine"], result["generator"]
    mbits = f"{generator['mbits']:,} Mb/s" if generator.get("mbits") else "unknown speed"
    return [
        f"{machine_['when']}, on {machine_['processor']}, {machine_['cpus']} CPUs, "
        f"Linux {machine_['kernel']}, load before {machine_['load']:.2f}.",
        f"Generator: {generator['generator']}, link of {mbits}"
        + (f" ({generator['send']['driver']})" if isinstance(generator.get("send"), dict) else "")
        + f". Traffic: {result['traffic']}. Kernel arguments: {machine_['arguments'] or 'none of note'}.", ""]


def plan_lines(plan):
    return [
        f"Trials of {plan['seconds']:g} s, {plan['trials']} at each rate, resolution "
        f"{plan['resolution']:.2%} of the maximum, confirmed by {plan['verify']} of "
        f"{plan['verify_seconds']:g} s; {plan['repeats']} searches: the median is given, least and most "
        f"beside it. Sizes are in bytes with the frame check sequence, rates in frames a second one way, "
        f"bits with preamble and gap."]


def cell(found):
    """A search's rate with its spread."""
    if found["median"] is None:
        whys = [search["why"] for search in found["searches"] if search["rate"] is None]
        return f"none: {whys[0]}" if whys else "none"
    text = rate(found["median"])
    return text if found["least"] == found["most"] else (
        f"{text} ({rate(found['least'])} to {rate(found['most'])})")


def throughput_lines(result):
    rows = [size for size in result["sizes"] if size.get("throughput")]
    if not rows:
        return []
    lines = ["## Throughput (RFC 2544 §26.1)", ""]
    head = ["size"]
    for found in rows[0]["throughput"]:
        head.append("no loss (NDR)" if found["ratio"] == 0 else f"loss ≤ {found['ratio']:.3%} (PDR)")
        head.append("on the wire")
    lines += [row(head), row(["---"] * len(head))]
    for size in rows:
        cells = [name(size)]
        for found in size["throughput"]:
            cells += [cell(found), bits(found["median"], size["mean_size"])]
        lines.append(row(cells))
    limited = [name(size) for size in rows if any(
        found["median"] == size["maximum"] for found in size["throughput"])]
    if limited:
        lines += ["", f"At the maximum that was offered, so the router may do more: {', '.join(limited)}."]
    notes = [f"{name(size)}: {search['why']}." for size in rows for found in size["throughput"]
             for search in found["searches"] if search["why"] and search["rate"] is not None]
    return lines + ([""] + notes if notes else []) + [""]


def latency_lines(result):
    rows = [(size, one) for size in result["sizes"] for one in size.get("latency") or []]
    if not rows:
        return []
    lines = ["## Latency (RFC 2544 §26.2, RFC 8219 §7.2), µs", "",
             row(["size", "part of NDR", "rate", *LATENCY_NAMES, "means", "runs", "greatest loss"]),
             row(["---"] * (len(LATENCY_NAMES) + 6))]
    for size, one in rows:
        means = one.get("spread_mean")
        lines.append(row([name(size), f"{one['fraction']:.0%}", rate(one["rate"]),
                          *[number(one.get(key)) for key in LATENCIES],
                          f"{number(means[0])} to {number(means[1])}" if means else "-",
                          one["repeats"], f"{one['loss']:.6f}"]))
    return lines + [""]


def loss_lines(result):
    rows = [(size, one) for size in result["sizes"] for one in size.get("loss") or []]
    if not rows:
        return []
    lines = ["## Frame loss (RFC 2544 §26.3)", "", row(["size", "offered", "sent", "received", "lost"]),
             row(["---"] * 5)]
    lines += [row([name(size), rate(one["rate"]), f"{one['sent']:,}", f"{one['received']:,}",
                   f"{one['loss']:.4%}"]) for size, one in rows]
    return lines + [""]


def burst_lines(result):
    rows = [(size, size["burst"]) for size in result["sizes"] if size.get("burst")]
    if not rows:
        return []
    lines = ["## Back-to-back (RFC 2544 §26.4, RFC 9004)", "",
             row(["size", "at", "mean, frames", "least to most", "deviation", "searches",
                  "buffer time, µs", "corrected, µs"]), row(["---"] * 8)]
    for size, one in rows:
        corrected = one["corrected_seconds"]
        lines.append(row([name(size), rate(one["rate"]), f"{one['mean']:,.1f}",
                          f"{one['least']:,} to {one['most']:,}", f"{one['deviation']:.1f}",
                          one["searches"], number(one["implied_seconds"] * 1e6),
                          "-" if corrected is None else number(corrected * 1e6)]))
    notes = [f"{name(size)}: {one['unlimited']} of {one['searches']} searches lost nothing even at "
             f"{one['most']:,} frames: no buffer is the limit." for size, one in rows if one["unlimited"]]
    return lines + ([""] + notes if notes else []) + [""]


def name(size):
    return str(size["size"])


def number(value):
    return "-" if value is None else f"{value:.4g}"


def row(cells):
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def draw(folder, result):
    """The plots that there are figures for."""
    plot = plots.matplotlib()
    made = [draw_throughput(plot, folder, result), draw_latency(plot, folder, result),
            draw_loss(plot, folder, result)]
    return [path for path in made if path]


def draw_throughput(plot, folder, result):
    rows = [size for size in result["sizes"] if size.get("throughput")
            and all(found["median"] is not None for found in size["throughput"])]
    if not rows:
        return None
    figure, axes = plot.subplots(figsize=(8, 4))
    places = range(len(rows))
    ratios = [found["ratio"] for found in rows[0]["throughput"]]
    width = 0.8 / len(ratios)
    for turn, ratio in enumerate(ratios):
        found = [size["throughput"][turn] for size in rows]
        middle = [one["median"] / 1e6 for one in found]
        errors = [[(one["median"] - one["least"]) / 1e6 for one in found],
                  [(one["most"] - one["median"]) / 1e6 for one in found]]
        axes.bar([place + (turn - (len(ratios) - 1) / 2) * width for place in places], middle, width,
                 yerr=errors, capsize=3, label="no loss" if ratio == 0 else f"loss ≤ {ratio:.3%}")
    axes.plot(places, [size["maximum"] / 1e6 for size in rows], "k_", markersize=30, label="offered at most")
    axes.set_xticks(list(places), [name(size) for size in rows])
    axes.set_ylim(top=1.35 * max(size["maximum"] for size in rows) / 1e6)  # room for the legend
    axes.set_xlabel("frame size, bytes")
    axes.set_ylabel("million frames a second")
    axes.legend()
    return plots.save(plot, figure, folder / "throughput.svg")


def draw_latency(plot, folder, result):
    rows = [(size, size["latency"]) for size in result["sizes"]
            if size.get("latency") and size["latency"][0].get("p50") is not None]
    if not rows:
        return None
    figure, axes = plot.subplots(figsize=(8, 4))
    for size, found in rows:
        loads = [one["fraction"] * 100 for one in found]
        (line,) = axes.plot(loads, [one["p50"] for one in found], "o-", label=f"{name(size)}: median")
        axes.plot(loads, [one["p99"] for one in found], "--", color=line.get_color(),
                  label=f"{name(size)}: 99 %")
    axes.set_yscale("log")
    axes.set_xlabel("load, % of the throughput without loss")
    axes.set_ylabel("latency, µs")
    axes.legend(fontsize="small")
    return plots.save(plot, figure, folder / "latency.svg")


def draw_loss(plot, folder, result):
    rows = [(size, size["loss"]) for size in result["sizes"] if size.get("loss")]
    if not rows:
        return None
    figure, axes = plot.subplots(figsize=(8, 4))
    for size, found in rows:
        axes.plot([100 * one["rate"] / size["maximum"] for one in found],
                  [100 * one["loss"] for one in found], "o-", label=name(size))
    axes.set_xlabel("load, % of the maximum")
    axes.set_ylabel("frames lost, %")
    axes.legend(title="bytes")
    return plots.save(plot, figure, folder / "loss.svg")
