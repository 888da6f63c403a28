"""The benchmark's results: a table, a file for machines, and a chart."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from lab.bench.speed.measure import Measure

MET, MISSED, NO_AIM = "#2a9d4a", "#c8352b", "#6e6e6e"


@dataclass(frozen=True)
class Results:
    """All rows, and what they belong to."""

    machine: dict[str, str | int]
    load_average: tuple[float, float]
    """Of one minute, when it began and when it ended: more than there are cores, and figures scatter."""
    took_seconds: float
    quick: bool
    rows: Sequence[Measure]


def report(results: Results, folder: Path, console: Console) -> None:
    """Print the table; write results.json and bench.png."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "results.json"
    document = {**asdict(results), "rows": [{**asdict(row), "met": row.met} for row in results.rows]}
    path.write_text(json.dumps(document, indent=2) + "\n")
    console.print(table(results.rows))
    draw(results.rows, folder / "bench.png")
    begin, end = results.load_average
    console.print(
        f"Took {results.took_seconds:.0f} s; load average {begin:.1f} to {end:.1f}, {results.machine['cores']} cores.  "
        f"results {path}  chart {folder / 'bench.png'}",
        highlight=False,
        soft_wrap=True,
    )


def table(rows: Sequence[Measure]) -> Table:
    """Return a row for each measure."""
    shown = Table(title="Medians of ratios, round by round; least and most of the rounds", title_justify="left")
    shown.add_column("part")
    shown.add_column("measure")
    for column in ("value", "spread", "aim"):
        shown.add_column(column, justify="right")
    shown.add_column("")
    shown.add_column("because")
    before = ""
    for row in rows:
        if row.part != before:
            shown.add_section()
        mark = {None: "", True: "[green]met[/]", False: "[yellow]missed[/]"}[row.met]
        spread = f"{row.least:.3g} to {row.most:.3g}" if row.least != row.most else ""
        unit = "" if row.unit == "x" else f" {row.unit}"
        part = row.part if row.part != before else ""
        shown.add_row(part, row.what, f"{row.value:.3g}{unit}", spread, row.aim, mark, row.detail)
        before = row.part
    return shown


def draw(rows: Sequence[Measure], path: Path) -> None:
    """Draw each ratio that has an aim, as a share of its aim: right of 1 is better than asked for."""
    drawn = [row for row in rows if row.met is not None and row.value > 0]
    figure = Figure(figsize=(12, 1.0 + 0.22 * len(drawn)), dpi=110, layout="constrained")
    ax = figure.subplots()
    for number, row in enumerate(reversed(drawn)):
        shares = [_share(row, value) for value in (row.value, row.least, row.most)]
        color = MET if row.met else MISSED
        ax.plot(shares[1:], [number, number], color=color, linewidth=2, alpha=0.5)
        ax.plot(shares[0], number, "o", color=color, markersize=6)
    ax.axvline(1, color=NO_AIM, linewidth=1)
    ax.set_xscale("log")
    ax.set_ylim(-1, len(drawn))
    ax.set_yticks(range(len(drawn)), [f"{row.part}: {row.what}" for row in reversed(drawn)], fontsize=8)
    ax.set_xlabel("times the aim, least to most of the rounds; right of 1 is better")
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(axis="x", color="#e6e6e6")
    ax.set_axisbelow(True)
    figure.savefig(path)


def _share(row: Measure, value: float) -> float:
    value = max(value, 1e-6)
    return value / row.at_least if row.at_least is not None else (row.at_most or 1.0) / value
