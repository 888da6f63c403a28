"""What a window costs in throughput: one fast stream at full speed, with one window after the other."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from flowcontrol import Window
from lab.bench.load_process import run_load
from lab.console import Say
from lab.processes.services import Service


@dataclass(frozen=True)
class Throughput:
    """Of one stream on loopback, where a round trip takes no time; the median over the rounds."""

    window: str
    updates_per_second: float
    ratio: float
    """To the largest window."""


async def measure_throughput(
    windows: Sequence[Window], rounds: int, seconds: float, server: Service, say: Say
) -> list[Throughput]:
    """Measure all windows in turn, round after round; the last one is what the others are compared with."""
    rates: dict[Window, list[float]] = {window: [] for window in windows}
    for number in range(rounds):
        say(f"throughput by window: round {number + 1} of {rounds}")
        for window in windows:
            async with run_load(server, window, "pause") as load:
                rates[window].append((await load.measure(seconds))["updates_per_second"])
    last = rates[windows[-1]]
    return [
        Throughput(
            window=str(window),
            updates_per_second=round(statistics.median(of_window), 1),
            ratio=round(statistics.median(a / b for a, b in zip(of_window, last, strict=True)), 3),
        )
        for window, of_window in rates.items()
    ]
