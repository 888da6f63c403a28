"""What stalled streams cost the server: resident memory of each, whether it grows, and processor time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx

from flowcontrol import Window
from lab.bench.load_process import run_load
from lab.bench.stalled import until_stalled
from lab.console import Say
from lab.processes.samples import scrape
from lab.processes.services import Service, run_server

UPDATES_PER_SECOND = 100
FULL_AFTER_SECONDS = 14.0
"""By then buffers are full, and the server has looked at each stream for as long as it remembers."""
WATCHED_SECONDS = 8.0


@dataclass(frozen=True)
class Case:
    """Stalled streams under one policy, with one window."""

    policy: str
    window_bytes: int
    streams: int
    shared: bool = False
    """All on one channel."""


@dataclass(frozen=True)
class IdleCost:
    """What they cost."""

    policy: str
    window_bytes: int
    streams: int
    channels: str
    memory_per_stream_bytes: int
    growth_bytes: int
    """Of the whole server, over `seconds`, at the plateau."""
    processor_share: float
    """Of one core."""
    seconds: float


async def measure_costs(
    cases: Sequence[Case], padding_bytes: int, http: httpx.AsyncClient, logs: Path, say: Say
) -> list[IdleCost]:
    """Measure all cases side by side, each with a server of its own: nothing in them is a matter of speed."""
    async with AsyncExitStack() as stack:
        servers, empty = [], []
        for number, case in enumerate(cases):
            say(f"memory: opens {case.streams:,} streams, {case.policy}, window {case.window_bytes:,}")
            server = await stack.enter_async_context(run_server(logs / str(number), *_arguments(padding_bytes)))
            load = await stack.enter_async_context(
                run_load(server, Window(case.window_bytes), case.policy, shared=case.shared)
            )
            await load.open(1)
            await until_stalled(server, http, 1)
            servers.append(server)
            empty.append(await _usage(server, http))
            await load.open(case.streams - 1)
        for server, case in zip(servers, cases, strict=True):
            await until_stalled(server, http, case.streams)
        say("memory: all streams are stalled; waits until buffers are full")
        await asyncio.sleep(FULL_AFTER_SECONDS)
        began = [await _usage(server, http) for server in servers]
        say(f"memory and processor time: watched for {WATCHED_SECONDS:g} s")
        await asyncio.sleep(WATCHED_SECONDS)
        ended = [await _usage(server, http) for server in servers]
    return [_cost(*figures) for figures in zip(cases, empty, began, ended, strict=True)]


def _arguments(padding_bytes: int) -> tuple[str, ...]:
    return (
        *("--update-interval-seconds", str(1 / UPDATES_PER_SECOND), "--padding-bytes", str(padding_bytes)),
        *("--disconnect-after-seconds", "3600"),
    )


@dataclass(frozen=True)
class _Usage:
    at_seconds: float
    memory_bytes: float
    processor_seconds: float


async def _usage(server: Service, http: httpx.AsyncClient) -> _Usage:
    server.check()
    figures = await scrape(http, server.metrics_url, "stalled")
    now = asyncio.get_running_loop().time()
    return _Usage(now, figures["process_resident_memory_bytes"], figures["process_cpu_seconds_total"])


def _cost(case: Case, empty: _Usage, began: _Usage, ended: _Usage) -> IdleCost:
    seconds = ended.at_seconds - began.at_seconds
    return IdleCost(
        policy=case.policy,
        window_bytes=case.window_bytes,
        streams=case.streams,
        channels="shared" if case.shared else "own",
        memory_per_stream_bytes=round((ended.memory_bytes - empty.memory_bytes) / (case.streams - 1)),
        growth_bytes=round(ended.memory_bytes - began.memory_bytes),
        processor_share=round((ended.processor_seconds - began.processor_seconds) / seconds, 4),
        seconds=round(seconds, 1),
    )
