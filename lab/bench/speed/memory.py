"""What streams cost a server in memory, and stalled ones beside a live feed in processor time."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import psutil

from flowcontrol import DEFAULT_WINDOW_BYTES, Window
from lab.bench.idle_cost import UPDATES_PER_SECOND, Case, IdleCost, measure_costs
from lab.bench.load_process import run_load
from lab.bench.speed.measure import Measure, figure
from lab.bench.speed.pair import bare_server, reading
from lab.console import Say
from lab.processes.services import Service, run_server

POLICIES = ("pause", "conflate", "drop-oldest", "disconnect")
PADDING_BYTES = 1_000
FAST_STREAMS = 50
SETTLE_SECONDS = 3.0
ALONE = 2
"""Stalled streams of the feed that is compared with: one is there from the beginning, and it counts the others."""


async def measure_memory(streams: int, http: httpx.AsyncClient, folder: Path, say: Say) -> list[Measure]:
    """Return resident memory at rest, of a fast stream and of a stalled one, and processor time of the feed."""
    say("memory: at rest, and of fast streams")
    rest, fast = await _fast(folder)
    say(f"memory: {streams:,} stalled streams of a bare server")
    bare_stalled = await _bare_stalled(streams)
    cases = [*(Case(policy, DEFAULT_WINDOW_BYTES, streams) for policy in POLICIES)]
    alone = [Case(policy, DEFAULT_WINDOW_BYTES, ALONE) for policy in POLICIES[1:]]
    costs = await measure_costs([*cases, *alone], PADDING_BYTES, http, folder / "stalled", say)
    return [
        _beside("memory", "server at rest", rest["ours"], rest["bare"], 1e6, "MB"),
        _beside("memory", f"each of {FAST_STREAMS} fast streams", fast["ours"], fast["bare"], 1e3, "KB"),
        *(row for cost in costs[: len(cases)] for row in _stalled(cost, bare_stalled)),
        *_feed(costs[len(cases) - len(alone) : len(cases)], costs[len(cases) :]),
    ]


def _beside(part: str, what: str, ours: float, bare: float, unit_bytes: float, unit: str) -> Measure:
    detail = f"{ours / unit_bytes:.1f} {unit}, bare {bare / unit_bytes:.1f}"
    return figure(part, what, [ours / max(bare, 1.0)], "x", detail, at_most=1.1)


def _stalled(cost: IdleCost, bare_bytes: float) -> list[Measure]:
    what = f"each of {cost.streams:,} stalled streams, {cost.policy}"
    kilobytes = cost.memory_per_stream_bytes / 1000
    return [
        _beside("memory", what, cost.memory_per_stream_bytes, bare_bytes, 1e3, "KB"),
        figure("memory", f"{what}, KB", [kilobytes], "KB", "", at_most=50.0),
    ]


def _feed(many: list[IdleCost], alone: list[IdleCost]) -> list[Measure]:
    return [
        figure(
            "live feed beside stalled streams",
            f"{UPDATES_PER_SECOND}/s beside {cost.streams:,}, {cost.policy}, less the feed alone",
            [(cost.processor_share - its.processor_share) * 100],
            "% of a core",
            f"{cost.processor_share:.1%}, alone {its.processor_share:.1%}",
            at_most=3.0,
        )
        for cost, its in zip(many, alone, strict=True)
    ]


async def _fast(folder: Path) -> tuple[dict[str, float], dict[str, float]]:
    interval = "0.1"
    async with AsyncExitStack() as stack:
        bare, bare_address = await stack.enter_async_context(bare_server("--interval-seconds", interval))
        ours = await stack.enter_async_context(run_server(folder / "rest", "--update-interval-seconds", interval))
        servers = {
            "bare": (bare.pid, bare_address),
            "ours": (ours.process.pid, f"127.0.0.1:{ours.grpc_port}"),
        }
        rest = {name: _resident(pid) for name, (pid, _) in servers.items()}
        first = {}
        for streams in (1, FAST_STREAMS):
            for name, (pid, address) in servers.items():
                pair = reading(pid, address, folder / f"{name}-{streams}", "--streams", str(streams))
                await (await stack.enter_async_context(pair)).started()
            await asyncio.sleep(SETTLE_SECONDS)
            if streams == 1:
                first = {name: _resident(pid) for name, (pid, _) in servers.items()}
        fast = {name: (_resident(pid) - first[name]) / FAST_STREAMS for name, (pid, _) in servers.items()}
    return rest, fast


async def _bare_stalled(streams: int) -> float:
    async with AsyncExitStack() as stack:
        server, address = await stack.enter_async_context(bare_server("--interval-seconds", "0.01"))
        service = Service("bare", server, "", int(address.rpartition(":")[2]))
        load = await stack.enter_async_context(run_load(service, Window(), "pause"))
        await load.open(1)
        await asyncio.sleep(1.0)
        before = _resident(server.pid)
        await load.open(streams - 1)
        await asyncio.sleep(2 * SETTLE_SECONDS)
        return (_resident(server.pid) - before) / (streams - 1)


def _resident(process: int) -> float:
    return float(psutil.Process(process).memory_info().rss)
