"""The row about the servers, of every dashboard."""

from __future__ import annotations

from dashboards.common import Panel, Row, lines, query


def servers() -> Row:
    """Return the row: streams, processor time, memory, garbage collection."""
    return (6, ((streams(), 6), (cpu(), 6), (memory(), 6), (garbage_collection(), 6)))


def streams() -> Panel:
    """Show the streams that are open."""
    return lines(
        "Server: streams open",
        "Fast and slow: one a client. A stalled stream stays open and costs little.",
        "none",
    ).with_target(query("sum by (instance) (flowcontrol_server_streams)", "{{instance}}"))


def cpu() -> Panel:
    """Show the server's processor time."""
    return lines(
        "Server: CPU",
        "Share of one core. Fast: little. Slow: less, for a blocked write costs nothing.",
        "percentunit",
    ).with_target(query('rate(process_cpu_seconds_total{job="server"}[1m])', "{{instance}}"))


def memory() -> Panel:
    """Show the server's memory."""
    return lines(
        "Server: resident memory",
        "Fast and slow: level, as nothing piles up in the server. It grows with what an autotuned client lets through.",
        "bytes",
    ).with_target(query('process_resident_memory_bytes{job="server"}', "{{instance}}"))


def garbage_collection() -> Panel:
    """Show the server's garbage collections."""
    return lines(
        "Server: garbage collections per second",
        "Collections by generation. Fast and slow: few, and level.",
        "none",
    ).with_target(
        query('sum by (generation) (rate(python_gc_collections_total{job="server"}[1m]))', "generation {{generation}}")
    )
