"""The picture of the policies: what becomes of the updates, and how old the data is that a slow client works on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes

from lab.demo.chart import BOUND, PROCESSED, SENT, new_figure, style, write_verdict
from lab.processes.samples import Sample

DROPPED, MADE, AGE = "#f3dcd9", "#8a8a8a", "#7a4fa3"


@dataclass(frozen=True)
class Panel:
    """A policy as the chart shows it."""

    policy: str
    title: str
    samples: Sequence[Sample]
    oldest_seconds: float
    passed: bool


def draw(panels: Sequence[Panel], footnote: str, path: Path) -> None:
    """Write the chart as a PNG file."""
    figure = new_figure(columns=len(panels), rows=2)
    grid = figure.subplots(2, len(panels), sharex=True, sharey="row", squeeze=False)
    for column, panel in enumerate(panels):
        _draw_updates(grid[0][column], panel)
        _draw_age(grid[1][column], panel)
    for updates, age in zip(*grid, strict=True):
        style(updates)
        style(age, decimals=1)
    grid[0][0].set_ylabel("stock updates")
    grid[1][0].set_ylabel("age of the data worked on, seconds")
    figure.suptitle("The same slow client under each policy: what it costs", fontsize=13, fontweight="bold")
    lines = [handle for ax in (grid[0][1], grid[1][1]) for handle in ax.get_legend_handles_labels()[0]]
    figure.legend(handles=lines, loc="outside lower center", ncols=len(lines), frameon=False, title=footnote)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def _draw_updates(ax: Axes, panel: Panel) -> None:
    seconds = _seconds(panel)
    made = [sample.produced for sample in panel.samples]
    kept = [sample.produced - sample.dropped for sample in panel.samples]
    ax.fill_between(seconds, kept, made, color=DROPPED, label="dropped")
    ax.plot(seconds, made, color=MADE, linewidth=1.4, linestyle=(0, (5, 3)), label="made")
    ax.plot(seconds, [sample.sent for sample in panel.samples], color=SENT, linewidth=2.2, label="sent")
    ax.plot(seconds, [sample.processed for sample in panel.samples], color=PROCESSED, linewidth=2.2, label="processed")
    ax.set_title(f"{panel.policy}: {panel.title}", loc="left", fontsize=10.5, fontweight="bold")


def _draw_age(ax: Axes, panel: Panel) -> None:
    # 0: it works on nothing, between two updates or without a stream; that is a gap, and no fresh data
    ages = [sample.working_age_seconds or math.nan for sample in panel.samples]
    ax.plot(_seconds(panel), ages, color=AGE, linewidth=1.6, label="age")
    ax.axhline(panel.oldest_seconds, color=BOUND, linewidth=1.6, linestyle=(0, (5, 3)), label="predicted oldest")
    write_verdict(ax, panel.passed)
    ax.set_xlabel("seconds")


def _seconds(panel: Panel) -> list[float]:
    return [sample.at_seconds - panel.samples[0].at_seconds for sample in panel.samples]
