"""The picture of a demo: a panel for each act, sent and processed, and the ceiling that was predicted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from lab.processes.samples import Sample

# as on the dashboards: sent blue, processed green, a ceiling grey and on top, a bound red (obs/dashboards/roles.py)
SENT, PROCESSED, CEILING, BOUND = "#1f6fb4", "#2a9d4a", "#6e6e6e", "#c8352b"
IN_FLIGHT = "#dbe8f4"
HOLDS, FAILS = PROCESSED, BOUND


@dataclass(frozen=True)
class Panel:
    """An act as the chart shows it."""

    name: str
    title: str
    samples: Sequence[Sample]
    ceiling_updates: int | None
    passed: bool


def draw(panels: Sequence[Panel], title: str, footnote: str, path: Path) -> None:
    """Write the chart as a PNG file."""
    figure = new_figure(columns=len(panels))
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for panel, ax in zip(panels, axes, strict=True):
        _draw_panel(ax, panel)
    axes[0].set_ylabel("stock updates")
    figure.suptitle(title, fontsize=13, fontweight="bold")
    handles, labels = axes[1 % len(panels)].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False, title=footnote)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def new_figure(columns: int, rows: int = 1) -> Figure:
    """Return an empty figure for a grid of panels."""
    return Figure(figsize=(3.2 * columns, 1.6 + 3.0 * rows), dpi=120, layout="constrained")


def style(ax: Axes, decimals: int = 0) -> None:
    """Give a panel its axes and grid, once everything is drawn that shares them."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.set_ylim(bottom=0)
    ax.set_xlim(left=0)
    ax.yaxis.set_major_formatter(StrMethodFormatter(f"{{x:,.{decimals}f}}"))
    ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    ax.grid(axis="y", color="#e6e6e6")
    ax.set_axisbelow(True)


def write_verdict(ax: Axes, passed: bool) -> None:
    """Write into a panel whether its claims hold."""
    text, color = ("holds", HOLDS) if passed else ("FAILS", FAILS)
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1.5}
    ax.text(0.98, 0.03, text, transform=ax.transAxes, ha="right", va="bottom", color=color, weight="bold", bbox=box)


def _draw_panel(ax: Axes, panel: Panel) -> None:
    began = panel.samples[0].at_seconds
    seconds = [sample.at_seconds - began for sample in panel.samples]
    sent = [sample.sent for sample in panel.samples]
    processed = [sample.processed for sample in panel.samples]
    ax.fill_between(seconds, processed, sent, color=IN_FLIGHT, label="in flight")
    ax.plot(seconds, sent, color=SENT, linewidth=2.2, label="sent")
    ax.plot(seconds, processed, color=PROCESSED, linewidth=2.2, label="processed")
    if panel.ceiling_updates is not None:
        ceiling = [count + panel.ceiling_updates for count in processed]
        dashes = (0, (4, 2))
        ax.plot(seconds, ceiling, color=CEILING, linewidth=1.8, linestyle=dashes, zorder=3, label="predicted ceiling")
    write_verdict(ax, panel.passed)
    ax.set_title(f"{panel.name}: {panel.title}", loc="left", fontsize=10.5, fontweight="bold")
    ax.set_xlabel("seconds")
    style(ax)
