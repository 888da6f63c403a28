"""A fast stream beside stalled ones, as ratios to it alone: the part that `lab bench-isolation` tells in full."""

from __future__ import annotations

from pathlib import Path

import httpx

from flowcontrol import DEFAULT_WINDOW_BYTES
from lab.bench.isolation import Isolation, Setup, measure_series
from lab.bench.speed.measure import Measure
from lab.console import Say

PADDING = ("--padding-bytes", "1000")
FLAT_OUT = ("--update-interval-seconds", "0", *PADDING)
LIVE = ("--update-interval-seconds", "0.01", *PADDING)


async def measure_beside_stalled(
    streams: int, rounds: int, seconds: float, http: httpx.AsyncClient, folder: Path, say: Say
) -> list[Measure]:
    """Measure beside a tenth and beside all of the stalled streams."""
    stalled = tuple(sorted({max(1, streams // 10), streams}))
    series = (
        Setup("pause, full speed", "pause", DEFAULT_WINDOW_BYTES, FLAT_OUT, stalled, False, min(rounds, 4), seconds),
        Setup("conflate, 100/s", "conflate", DEFAULT_WINDOW_BYTES, LIVE, stalled, False, min(rounds, 3), 2 * seconds),
    )
    found: list[Isolation] = []
    for setup in series:
        found += await measure_series(setup, http, folder / "beside-stalled", say)
    return [row for each in found if each.stalled_streams for row in _rows(each)]


def _rows(found: Isolation) -> list[Measure]:
    what = f"beside {found.stalled_streams:,} stalled"
    part = f"fast stream, {found.series}"
    rates, gaps = found.rate_ratios, found.gap_p99_ratios
    return [
        Measure(
            part, f"{what}: updates a second", found.rate_ratio, "x", min(rates), max(rates),
            f"{found.updates_per_second:,.0f} updates/s; processor time of each {found.processor_ratio:.2f} x",
            at_least=0.95,
        ),
        Measure(
            part, f"{what}: p99 gap", found.gap_p99_ratio, "x", min(gaps), max(gaps),
            f"{found.gap_p99_seconds * 1000:.2f} ms", at_most=1.1,
        ),
    ]  # fmt: skip
