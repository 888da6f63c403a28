"""The row about the servers, of every dashboard."""

from __future__ import annotations

from dashboards.board import Row
from dashboards.panels import Panel, lines
from dashboards.queries import OURS, query


def servers() -> Row:
    """Return the row: streams, processor time, memory."""
    return (7, ((streams(), 8), (cpu(), 8), (memory(), 8)))


def streams() -> Panel:
    """Show the streams that are open."""
    return lines(
        "Server: streams open",
        "Those that the limit counts. Fast and slow: one a client; a stalled stream stays open and costs little.",
        "none",
    ).with_target(query("sum by (instance) (stock_server_streams)", "{{instance}}"))


def cpu() -> Panel:
    """Show the server's processor time."""
    return lines(
        "Server: CPU",
        "Share of one core. Fast: little. Slow: less, for a blocked write costs nothing.",
        "percentunit",
    ).with_target(query(f'rate(process_cpu_seconds_total{{{OURS}, job="server"}}[1m])', "{{instance}}"))


def memory() -> Panel:
    """Show the server's memory."""
    return (
        lines(
            "Server: resident memory",
            "Fast and slow: level, as nothing piles up in the server. It grows with what an autotuned client lets in.",
            "bytes",
        )
        .with_target(query(f'process_resident_memory_bytes{{{OURS}, job="server"}}', "{{instance}}"))
        .axis_soft_max(100 * 1024 * 1024)  # else the line is hidden by the upper edge
    )
