"""How long server and client take to start, until the first update."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import httpx

from lab.bench.speed.measure import Measure, ratio
from lab.bench.speed.pair import bare_pair, our_pair
from lab.console import Say

AT_MOST = 1.3


async def measure_start(rounds: int, http: httpx.AsyncClient, folder: Path, say: Say) -> list[Measure]:
    """Start the server, and as soon as it is ready the client, until the first update."""
    ours: list[float] = []
    bare: list[float] = []
    for number in range(rounds):
        say(f"start: round {number + 1} of {rounds}")
        for seconds, context in ((bare, bare_pair(folder)), (ours, our_pair(folder, http))):
            began_at = time.monotonic()
            async with context as pair:
                await pair.started()
                seconds.append(time.monotonic() - began_at)
    detail = f"{statistics.median(ours):.2f} s, bare {statistics.median(bare):.2f}"
    return [ratio("start", "server and client until the first update", ours, bare, detail, at_most=AT_MOST)]
