"""What stalled streams cost a fast one: its rate and its gaps beside them, as ratios to those alone."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx

from flowcontrol import Window
from lab.bench.load_process import LoadProcess, run_load
from lab.bench.stalled import until_closed, until_stalled
from lab.console import Say
from lab.processes.samples import scrape
from lab.processes.services import Service, run_server

SENT = "flowcontrol_server_sent_messages_total"
PROCESSOR = "process_cpu_seconds_total"


@dataclass(frozen=True)
class Setup:
    """One series of measurements."""

    title: str
    policy: str
    window_bytes: int
    server: tuple[str, ...]
    """Arguments of the server."""
    stalled: tuple[int, ...]
    """How many stalled streams, rising."""
    shared: bool
    """All streams on one channel; else each on its own."""
    rounds: int
    seconds: float
    """Of each measurement."""


@dataclass(frozen=True)
class Isolation:
    """A fast stream beside so many stalled ones; medians over the rounds."""

    series: str
    stalled_streams: int
    updates_per_second: float
    gap_p99_seconds: float
    rate_ratio: float
    """To the fast stream alone, just before and just after."""
    gap_p99_ratio: float
    processor_ratio: float
    """Of the server's processor time for an update of the fast stream: the figure that a busy machine moves least."""
    rate_ratios: tuple[float, ...]
    gap_p99_ratios: tuple[float, ...]


Measured = dict[str, float]


async def measure_series(setup: Setup, http: httpx.AsyncClient, logs: Path, say: Say) -> list[Isolation]:
    """Measure alone, beside the stalled ones, alone, and so on, so that a busy machine troubles all alike."""
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(run_server(logs, *setup.server))
        window = Window(setup.window_bytes)
        stalled = await stack.enter_async_context(run_load(server, window, setup.policy, shared=setup.shared))
        fast = stalled
        if not setup.shared:  # a process of its own, so that it does not pay for the connections of the others
            fast = await stack.enter_async_context(run_load(server, window, setup.policy))
        rounds: list[dict[int, Measured]] = []
        for number in range(setup.rounds):
            say(f"{setup.title}: round {number + 1} of {setup.rounds}")
            rounds.append(await _round(setup, server, stalled, fast, http))
        after = await _measured(setup, server, fast, http)
    return summarise(setup.title, rounds, after)


async def _round(
    setup: Setup, server: Service, stalled: LoadProcess, fast: LoadProcess, http: httpx.AsyncClient
) -> dict[int, Measured]:
    measured = {0: await _measured(setup, server, fast, http)}
    streams = 0
    for wanted in setup.stalled:
        await stalled.open(wanted - streams)
        streams = wanted
        await until_stalled(server, http, streams)
        measured[wanted] = await _measured(setup, server, fast, http)
    await stalled.close()
    await until_closed(server, http)
    return measured


async def _measured(setup: Setup, server: Service, fast: LoadProcess, http: httpx.AsyncClient) -> Measured:
    before = await scrape(http, server.metrics_url, "fast")
    figures = await fast.measure(setup.seconds)
    after = await scrape(http, server.metrics_url, "fast")
    sent = after[SENT] - before.get(SENT, 0.0)
    return {**figures, "processor_seconds": (after[PROCESSOR] - before[PROCESSOR]) / sent}


def summarise(series: str, rounds: Sequence[dict[int, Measured]], after: Measured) -> list[Isolation]:
    """Return medians and ratios; a round is compared with the measurements alone on both sides of it."""
    alone = [measured[0] for measured in rounds] + [after]
    return [_summary(series, streams, rounds, alone) for streams in rounds[0]]


def _summary(series: str, streams: int, rounds: Sequence[dict[int, Measured]], alone: Sequence[Measured]) -> Isolation:
    def ratios(figure: str) -> tuple[float, ...]:
        if streams == 0:
            return (1.0,) * len(rounds)
        beside = [measured[streams][figure] for measured in rounds]
        means = [(alone[n][figure] + alone[n + 1][figure]) / 2 for n in range(len(rounds))]
        return tuple(round(value / mean, 3) for value, mean in zip(beside, means, strict=True))

    rate, gap = ratios("updates_per_second"), ratios("gap_p99_seconds")
    return Isolation(
        series=series,
        stalled_streams=streams,
        updates_per_second=round(statistics.median(m[streams]["updates_per_second"] for m in rounds), 1),
        gap_p99_seconds=round(statistics.median(m[streams]["gap_p99_seconds"] for m in rounds), 6),
        rate_ratio=round(statistics.median(rate), 3),
        gap_p99_ratio=round(statistics.median(gap), 3),
        processor_ratio=round(statistics.median(ratios("processor_seconds")), 3),
        rate_ratios=rate,
        gap_p99_ratios=gap,
    )


@dataclass(frozen=True)
class Flood:
    """A fast stream on a channel on which other streams are just being filled; medians over the rounds."""

    window: str
    filling_streams: int
    rate_alone: float
    rate_while_filling: float
    ratio: float


async def measure_flood(
    window: Window, streams: int, rounds: int, seconds: float, server: Service, http: httpx.AsyncClient, say: Say
) -> Flood:
    """Measure alone and while the others, which read nothing, get what their windows hold."""
    alone, filling = [], []
    for number in range(rounds):
        say(f"while {streams} streams of the same channel are filled, window {window}: round {number + 1} of {rounds}")
        async with run_load(server, window, "pause", shared=True) as load:
            alone.append((await load.measure(seconds))["updates_per_second"])
            filling.append((await load.flood(streams, seconds))["updates_per_second"])
        await until_closed(server, http)
    ratios = [beside / by_itself for beside, by_itself in zip(filling, alone, strict=True)]
    return Flood(
        window=str(window),
        filling_streams=streams,
        rate_alone=round(statistics.median(alone), 1),
        rate_while_filling=round(statistics.median(filling), 1),
        ratio=round(statistics.median(ratios), 3),
    )
