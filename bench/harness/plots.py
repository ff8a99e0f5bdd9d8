"""Plots of what scripts/bench measured, by matplotlib (Debian's python3-matplotlib)."""

import os
import re
import subprocess

import figures
import growth
import targets


class Unavailable(RuntimeError):
    pass


def matplotlib():
    """Imported late: nothing else needs it. Installed by the bench itself, for it brings much along."""
    try:
        import matplotlib.pyplot as plot
    except ImportError:
        if os.geteuid() == 0:
            print("bench: installing python3-matplotlib …", flush=True)
            subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends",
                            "python3-matplotlib"], stdout=subprocess.DEVNULL, check=False,
                           env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})
        try:
            import matplotlib.pyplot as plot
        except ImportError:
            raise Unavailable("plots need the package python3-matplotlib") from None
    plot.switch_backend("svg")
    plot.rcParams["svg.hashsalt"] = "wye"  # the same figures make the same file
    return plot


def save(plot, figure, path):
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plot.close(figure)
    return path


def bars(plot, section, rows, folder):
    """How far each row is: its figure as a part of the must, so that 1 is met, on a log scale. What is
    to be small is turned over."""
    done, labels, goals = [], [], []
    for target in targets.load().values():
        row = rows.get(target["name"])
        if target["section"] != section or row is None or row.value is None:
            continue
        figure = row.ratio if target["judged"] == "ratio" else row.value
        at_least = target["sense"] == "at_least"
        if not figure or target["must"] >= 1e9:
            continue  # nothing to compare
        done.append(figure / target["must"] if at_least else target["must"] / figure)
        goals.append(target["goal"] / target["must"] if at_least
                     else target["must"] / target["goal"])
        labels.append(target["name"])
    if not done:
        return None
    figure, axes = plot.subplots(figsize=(8, 1 + 0.35 * len(done)))
    places = range(len(done))
    axes.barh(places, done, color=["tab:green" if part >= 1 else "tab:red" for part in done])
    axes.plot(goals, places, "k|", markersize=12, label="goal")
    axes.axvline(1, color="black", linewidth=1, label="must")
    axes.set_yticks(list(places), labels)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlim(left=min(0.05, *done))
    axes.set_xlabel("as a part of the must (to the right is better)")
    axes.legend()
    return save(plot, figure, folder / f"{section}.svg")


def growth_series(rows):
    """{family: {line: [(x, value)]}} of rows named growth/FAMILY/LINE/X."""
    families = {}
    for row in rows:
        match = re.fullmatch(r"growth/([a-z]+)/([a-z0-9-]+)/(\d+)", row.name)
        if match and row.value is not None:
            lines = families.setdefault(match[1], {})
            lines.setdefault(match[2], []).append((int(match[3]), row.value))
            # The peer of several lines is drawn once.
            points = lines.setdefault(row.peer, []) if row.peer_value is not None else None
            if points is not None and int(match[3]) not in dict(points):
                points.append((int(match[3]), row.peer_value))
    return families


def thousands(value, _=None):
    """1, 300, 4 k, 1 M: nobody reads exponents."""
    for least, suffix in ((1e6, " M"), (1e3, " k")):
        if value >= least:
            return f"{value / least:.3g}{suffix}"
    return f"{value:.3g}"


def size_text(size):
    return f"{size >> 20} MiB" if size >= 1 << 20 else f"{size >> 10} KiB"


def mark_caches(axes, axis, caches):
    """A line where what is used over and over becomes larger than each cache."""
    for name, size in caches.items():
        at = growth.crossing(axis, size)
        if at is None:
            continue
        axes.axvline(at, color="grey", linestyle="--", linewidth=1)
        axes.annotate(f"{name}, {size_text(size)}", (at, 0.02), xycoords=axes.get_xaxis_transform(),
                      xytext=(3, 0), textcoords="offset points", rotation=90, fontsize=8,
                      color="dimgrey")


def growth_plot(plot, family, lines, caches, folder):
    """The cost from nothing up, so that twice as high is twice the cost; counts on a log scale."""
    axis = growth.AXES[family]
    figure, axes = plot.subplots(figsize=(7, 4.4))
    for name, points in sorted(lines.items()):
        axes.plot(*zip(*sorted(points)), marker="o", markersize=4, label=name)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(thousands)
    axes.set_xlabel(axis.label)
    axes.set_ylabel("ns for a packet")
    axes.set_ylim(bottom=0)
    axes.grid(True, alpha=0.3)
    axes.set_title(f"dashed: the working set outgrows a cache ({axis.words})", fontsize=8)
    mark_caches(axes, axis, caches)
    axes.legend()
    return save(plot, figure, folder / f"growth-{family}.svg")


def draw(document, folder):
    """{section: files made}."""
    plot = matplotlib()
    folder.mkdir(parents=True, exist_ok=True)
    rows = [figures.Row(**row) for row in document["rows"]]
    by_name = {row.name: row for row in rows}
    made = {}
    for section in ("whole-path", "fib", "acl"):
        path = bars(plot, section, by_name, folder)
        if path:
            made[section] = [path]
    for family, lines in sorted(growth_series(rows).items()):
        made.setdefault("growth", []).append(growth_plot(
            plot, family, lines, document["machine"].get("caches", {}), folder))
    return made
