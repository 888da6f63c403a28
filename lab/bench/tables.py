"""The benchmark's figures as tables, beside their aims."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from lab.bench.idle_cost import IdleCost
from lab.bench.isolation import Flood, Isolation
from lab.bench.throughput import Throughput

WITHIN = 0.1
LARGEST_STREAM_BYTES = 50_000
"""Aims: a rate and a gap no more than 10 % worse than alone; memory of a stalled stream."""


def isolation_table(rows: Sequence[Isolation]) -> Table:
    """Return a row for each number of stalled streams."""
    columns = ("series", "stalled", "updates/s", "ratio", "p99 gap", "ratio", "processor", "")
    table = _table(
        "A fast client beside stalled ones; medians; ratios to it alone, processor: the server's time for an update",
        columns,
    )
    before = ""
    for row in rows:
        if before != row.series:
            table.add_section()
        table.add_row(
            row.series if row.series != before else "",
            f"{row.stalled_streams:,}",
            f"{row.updates_per_second:,.0f}",
            f"{row.rate_ratio:.2f}",
            f"{row.gap_p99_seconds * 1000:.2f} ms",
            f"{row.gap_p99_ratio:.2f}",
            f"{row.processor_ratio:.2f}",
            _mark(row.rate_ratio >= 1 - WITHIN and row.gap_p99_ratio <= 1 + WITHIN),
        )
        before = row.series
    return table


def filling_table(rows: Sequence[Flood]) -> Table:
    """Return a row for each window."""
    columns = ("window", "streams being filled", "updates/s alone", "updates/s meanwhile", "ratio")
    table = _table("A fast stream while others of its channel are filled", columns)
    for row in rows:
        rates = (f"{row.rate_alone:,.0f}", f"{row.rate_while_filling:,.0f}")
        table.add_row(row.window, str(row.filling_streams), *rates, f"{row.ratio:.2f}")
    return table


def throughput_table(rows: Sequence[Throughput]) -> Table:
    """Return a row for each window."""
    table = _table("One stream at full speed, on loopback", ("window", "updates/s", "ratio to the largest"))
    for row in rows:
        table.add_row(f"{int(row.window):,}", f"{row.updates_per_second:,.0f}", f"{row.ratio:.2f}")
    return table


def cost_table(rows: Sequence[IdleCost]) -> Table:
    """Return a row for each case."""
    columns = ("policy", "window", "streams", "channels", "memory of each", "growth", "processor, of a core", "")
    table = _table("What stalled streams cost the server", columns)
    for row in rows:
        table.add_row(
            row.policy,
            f"{row.window_bytes:,}",
            f"{row.streams:,}",
            row.channels,
            f"{row.memory_per_stream_bytes / 1000:.1f} KB",
            f"{row.growth_bytes / 1000:,.0f} KB in {row.seconds:.0f} s",
            f"{row.processor_share:.1%}",
            _mark(row.memory_per_stream_bytes <= LARGEST_STREAM_BYTES),
        )
    return table


def _table(title: str, columns: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left")
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number == 0 else "right")
    return table


def _mark(reached: bool) -> str:
    return "[green]within the aim[/]" if reached else "[yellow]beyond the aim[/]"
