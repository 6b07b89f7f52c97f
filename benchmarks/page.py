"""`python -m benchmarks.page benchmarks.json benchmarks-peers.json`: put the figures of runs into the documentation.

A page holds each table between two markers; the first names the function that draws it:

    <!-- figures: memory -->
    ...
    <!-- end of figures -->

What the given files say nothing of is left as it is. The growth curves are written beside the pages.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks import memory, sqlite
from benchmarks.claims import bound, shown
from benchmarks.curves import Chart
from benchmarks.peers import __main__ as peers

DOCS = Path(__file__).parents[1] / "docs"
PICTURES = DOCS / "assets"
MARKED = re.compile(
    r"^<!-- figures: (?P<name>[\w-]+) -->\n(?P<text>.*?)^<!-- end of figures -->$", re.MULTILINE | re.DOTALL
)

Line = dict[str, Any]
"""A work at a size, as the harness writes it."""
Column = tuple[str, Callable[[Line], str]]


# ---------------------------------------------------------------- cells


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def duration(microseconds: float) -> str:
    """Write a time per unit."""
    for factor, unit in ((1e-6, "s"), (1e-3, "ms")):
        if microseconds * factor >= 1:
            return f"{microseconds * factor:.2f} {unit}"
    return f"{microseconds:.0f} µs" if microseconds >= 10 else f"{microseconds:.1f} µs"


PER_UNIT: Column = ("per unit", lambda line: f"{duration(line['per_unit_us'])}/{line['unit']}")
RATE: Column = ("units per second", lambda line: f"{line['units_per_s']:,.0f}")
CPU: Column = ("CPU", lambda line: duration(line["cpu_per_unit_us"]))
REQUESTS: Column = ("requests", lambda line: _number(line["requests_per_unit"], ".2f"))
COMMITS: Column = ("commits", lambda line: _number(line["commits_per_unit"] or None, ".3g"))
PEAK: Column = ("memory, MB", lambda line: _number(line["peak_bytes"] and line["peak_bytes"] / 1e6, ".1f"))
BYTES: Column = ("bytes each", lambda line: _number(line["peak_bytes"] and line["peak_bytes"] / line["size"], ",.0f"))
GROWTH: Column = ("growth", lambda line: _number(line["growth"], ".2f"))
DOUBLING: Column = ("doubling", lambda line: _number(line["doubling"], ".2f"))
RATIO: Column = ("ratio", lambda line: _number(line["ratio"], ".3g"))


def table(lines: Sequence[Line], columns: Sequence[Column]) -> str:
    """Draw lines, without the columns that nothing stands in; a work's name stands at its first size alone."""
    columns = [column for column in columns if any(column[1](line) for line in lines)]
    rows = ["| work | size | " + " | ".join(title for title, _ in columns) + " |"]
    rows.append("|---|--:|" + "--:|" * len(columns))
    named = ""
    for line in lines:
        name, named = ("" if line["name"] == named else line["name"]), line["name"]
        cells = [cell(line) for _, cell in columns]
        rows.append(f"| {name} | {line['size']:,} | {' | '.join(cells)} |")
    return "\n".join(rows)


# ---------------------------------------------------------------- figures


def _group(key: str, *columns: Column, where: Callable[[str], bool] = bool) -> Callable[[Line], str]:
    return lambda figures: table([line for line in figures[key] if where(line["name"])], columns)


def _on(name: str, start: str) -> bool:
    return name.startswith(f"{start}: ")


PARTS = {name for name, *_ in memory.PARTS}
LIMITS = {work.name for work in sqlite.LIMITS}
WORKLOAD = (PER_UNIT, RATE, CPU, REQUESTS, PEAK, GROWTH, DOUBLING)
ON_FILE = (PER_UNIT, RATE, CPU, REQUESTS, COMMITS, PEAK, GROWTH, DOUBLING, RATIO)
PEER = (PER_UNIT, RATE, CPU, GROWTH, DOUBLING, RATIO)


def claims(figures: Line) -> str:
    """Draw what is to hold, and what was found."""
    rows = ["| what is to hold | figure | bound | |", "|---|--:|--:|---|"]
    rows += [
        f"| {one['says']} | {shown(one['figure'])} | {bound(one)} | "
        f"{'' if not bound(one) else 'holds' if one['holds'] else '**does not hold**'} |"
        for one in figures["claims"]
    ]
    return "\n".join(rows)


def run(figures: Line) -> str:
    """Say when and on what the figures were taken."""
    note = f", {figures['note']}" if figures.get("note") else ""
    return f"{figures['date']}, {figures['implementation']} {figures['python']}, {figures['machine']}{note}."


OWN: dict[str, Callable[[Line], str]] = {
    "run": run,
    "claims": claims,
    "parts": _group("memory", PER_UNIT, RATE, CPU, RATIO, where=lambda name: name in PARTS),
    "memory": _group("memory", *WORKLOAD, where=lambda name: name not in PARTS),
    "imports": _group("imports", PER_UNIT, CPU, PEAK, RATIO),
    "asleep": _group("asleep", BYTES, PER_UNIT, CPU),
    "limits": _group("sqlite", PER_UNIT, RATE, CPU, where=lambda name: name in LIMITS),
    "sqlite-full": _group("sqlite", *ON_FILE, where=lambda name: _on(name, "full")),
    "sqlite-normal": _group("sqlite", *ON_FILE, where=lambda name: _on(name, "normal")),
    "telemetry": _group("telemetry", PER_UNIT, CPU, RATIO),
    "http": _group("http", PER_UNIT, RATE, CPU, REQUESTS, DOUBLING, RATIO),
}
PEERS: dict[str, Callable[[Line], str]] = {
    "peers-run": run,
    "peers-claims": claims,
    "peers-memory": _group("memory", *PEER, PEAK),
    "peers-file": _group("file", *PEER),
}


# ---------------------------------------------------------------- curves


def curve(lines: Sequence[Line], name: str) -> list[tuple[float, float]]:
    """Return what a unit costs at each size, in microseconds."""
    return [(line["size"], line["per_unit_us"]) for line in lines if line["name"] == name]


def _chart(title: str, unit: str, curves: dict[str, list[tuple[float, float]]]) -> Chart:
    return Chart(
        title=title,
        across=f"{unit}s in one execution (logarithmic)",
        up=f"µs for each {unit} (logarithmic)",
        curves={name: points for name, points in curves.items() if points},
    )


def own_charts(figures: Line) -> dict[str, Chart]:
    """Return the pictures of this library alone."""
    lines, on_file = figures.get("memory", []), figures.get("sqlite", [])
    works = {
        "def steps": curve(lines, memory.STEPS_DEF),
        "async steps": curve(lines, memory.STEPS_ASYNC),
        "remote calls": curve(lines, memory.CALLS),
        "steps replayed cold": curve(lines, memory.REPLAY),
        "async steps, SQLite": curve(on_file, f"full: {sqlite.SEQUENTIAL}"),
    }
    return {"growth": _chart("What a step costs as there are more of them", "step", works)}


def peer_charts(figures: Line) -> dict[str, Chart]:
    """Return the pictures of this library beside others."""
    contenders = (peers.IN_MEMORY.name, peers.TYPESCRIPT, peers.OFFICIAL)

    def beside(work: str) -> dict[str, list[tuple[float, float]]]:
        return {one: curve(figures.get("memory", []), peers.name(work, one)) for one in contenders}

    return {
        "peers-steps": _chart("Steps one after another, in memory", "step", beside(peers.SEQUENTIAL)),
        "peers-calls": _chart("Remote calls one after another, in memory", "call", beside(peers.CALLS)),
    }


# ---------------------------------------------------------------- pages

DRAWN = {"this library": OWN, "peers": PEERS}
CHARTS: dict[str, Callable[[Line], dict[str, Chart]]] = {"this library": own_charts, "peers": peer_charts}
"""By what a file is of."""


def renewed(text: str, figures: Line) -> str:
    """Return a page with all that these figures tell; the rest as it is."""
    draw = DRAWN[figures["of"]]

    def drawn(match: re.Match[str]) -> str:
        try:
            table = draw[match["name"]](figures)
        except LookupError:
            return match[0]
        return f"<!-- figures: {match['name']} -->\n\n{table}\n\n<!-- end of figures -->"

    return MARKED.sub(drawn, text)


def main(arguments: list[str] | None = None) -> int:
    """Renew the pages and the pictures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.page", description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, help="what the benchmarks wrote with --json")
    parser.add_argument("--note", default="", help="what else was going on, e.g. 'two cores with nothing else to do'")
    options = parser.parse_args(arguments)
    for file in options.files:
        figures: Line = json.loads(file.read_text()) | {"note": options.note}
        for page in DOCS.rglob("*.md"):
            text = page.read_text()
            if "<!-- figures: " in text:
                page.write_text(renewed(text, figures))
        for name, chart in CHARTS[figures["of"]](figures).items():
            if chart.curves:
                (PICTURES / f"{name}.svg").write_text(chart.svg())
    return 0


if __name__ == "__main__":
    sys.exit(main())
