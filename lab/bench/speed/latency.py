"""How long an update takes from when it is made until it has been processed, at several rates."""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from lab.bench.programs.stamped_client import PATH_VARIABLE
from lab.bench.programs.stamps import read_latencies
from lab.bench.speed.measure import Measure, ratio
from lab.bench.speed.pair import PROGRAMS, WARM_UP_SECONDS, Pair, bare_pair, bare_server, going_on, program
from lab.console import Say
from lab.processes.services import run_client, run_server

CONNECT_SECONDS = 2.0
FULL_SHARE = 0.8
AT_MOST = 1.1
NAMES = ("bare", "GetUpdates", "GetUpdateBatches")


@dataclass
class _Stamped:
    pair: Pair
    path: Path
    measured: list[tuple[int, int]] = field(default_factory=list)
    """From when to when, in nanoseconds of the monotonic clock."""


async def measure_latency(rates: Sequence[float], rounds: int, seconds: float, folder: Path, say: Say) -> list[Measure]:
    """Measure all three at each rate, in turns; 0: at 80 % of what a bare pair carries at most."""
    rows = []
    for rate in [rate or FULL_SHARE * await _full_rate(folder, say) for rate in rates]:
        longest = max(seconds, min(4.0, 40 / rate))
        rows += await _at(rate, rounds, longest, folder / f"latency-{rate:g}", say)
    return rows


async def _full_rate(folder: Path, say: Say) -> float:
    say("latency: what a bare pair carries at most")
    async with bare_pair(folder / "full") as pair:
        await pair.started()
        return statistics.median([(await pair.measure(0.5)).rate for _ in range(3)])


async def _at(rate: float, rounds: int, seconds: float, folder: Path, say: Say) -> list[Measure]:
    folder.mkdir(parents=True, exist_ok=True)
    async with AsyncExitStack() as stack:
        stamped = {name: await stack.enter_async_context(_running(name, 1 / rate, folder)) for name in NAMES}
        await asyncio.sleep(CONNECT_SECONDS)
        for each in stamped.values():
            each.pair.stop()
        for number in range(rounds):
            say(f"latency at {rate:,.0f}/s: round {number + 1} of {rounds}")
            for each in stamped.values():
                each.pair.go_on()
                await asyncio.sleep(WARM_UP_SECONDS)
                began = time.monotonic_ns()
                await asyncio.sleep(seconds)
                each.measured.append((began, time.monotonic_ns()))
                each.pair.stop()
    quantiles = {name: _quantiles(each) for name, each in stamped.items()}
    rows = []
    for name in NAMES[1:]:
        for which, percent in enumerate((50, 99)):
            ours = [each[which] for each in quantiles[name]]
            bare = [each[which] for each in quantiles["bare"]]
            detail = f"{statistics.median(ours) / 1e6:.3f} ms, bare {statistics.median(bare) / 1e6:.3f}"
            rows.append(ratio(f"latency, {name}", f"p{percent} at {rate:,.0f}/s", ours, bare, detail, at_most=AT_MOST))
    return rows


def _quantiles(stamped: _Stamped) -> list[tuple[float, float]]:
    latencies = read_latencies(stamped.path)
    result = []
    for began, ended in stamped.measured:
        within = [taken for at, taken in latencies if began <= at <= ended]
        hundredths = statistics.quantiles(within, n=100, method="inclusive")
        result.append((hundredths[49], hundredths[98]))
    return result


@asynccontextmanager
async def _running(name: str, interval_seconds: float, folder: Path) -> AsyncIterator[_Stamped]:
    path = folder / f"{name}.latencies"
    interval = ("--interval-seconds", str(interval_seconds))
    if name == "bare":
        async with (
            bare_server(*interval, "--stamped") as (server, address),
            program("bare_client", "--target", address, "--latencies", str(path)) as client,
        ):
            yield _Stamped(Pair(server.pid, client.pid, _nothing), path)
        return
    os.environ[PATH_VARIABLE] = str(path)
    batches = ("--batches",) if name == "GetUpdateBatches" else ()
    async with (
        run_server(
            folder / name, "--update-interval-seconds", str(interval_seconds), module=f"{PROGRAMS}.stamped_server"
        ) as ours,
        run_client(folder / name, "client", ours, *batches, module=f"{PROGRAMS}.stamped_client") as reader,
        going_on(ours, reader),
    ):
        yield _Stamped(Pair(ours.process.pid, reader.process.pid, _nothing), path)


async def _nothing() -> float:
    return 0.0
