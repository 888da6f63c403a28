"""A live feed at full speed to many streams: updates delivered a second in all, beside as many bare streams."""

from __future__ import annotations

import statistics
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import httpx

from lab.bench.speed.measure import Measure, ratio
from lab.bench.speed.pair import Pair, Spent, bare_server, going_on, reading
from lab.console import Say
from lab.processes.samples import scrape
from lab.processes.services import Service, run_server

POLICY = "drop-oldest"
AIMS = {"GetUpdates": 1.2, "GetUpdateBatches": 40.0}


async def measure_fan_out(
    streams: Sequence[int], rounds: int, seconds: float, http: httpx.AsyncClient, folder: Path, say: Say
) -> list[Measure]:
    """Measure with so many streams; the same reader, which looks at nothing, reads them all."""
    return [row for count in streams for row in await _with(count, rounds, seconds, http, folder, say)]


async def _with(
    streams: int, rounds: int, seconds: float, http: httpx.AsyncClient, folder: Path, say: Say
) -> list[Measure]:
    async with AsyncExitStack() as stack:
        server, address = await stack.enter_async_context(bare_server())
        count = ("--streams", str(streams))
        pairs: dict[str, Pair] = {"bare": await stack.enter_async_context(reading(server.pid, address, folder, *count))}
        for method in AIMS:
            ours: Service = await stack.enter_async_context(
                run_server(folder / f"{method}-{streams}", "--update-interval-seconds", "0")
            )
            await stack.enter_async_context(going_on(ours))
            arguments = (*count, "--method", method, "--policy", POLICY)
            pair = await stack.enter_async_context(
                reading(ours.process.pid, f"127.0.0.1:{ours.grpc_port}", folder, *arguments)
            )
            pairs[method] = replace(pair, count=sent_by(ours, http))
        for pair in pairs.values():
            await pair.started()
            pair.stop()
        spent: dict[str, list[Spent]] = {name: [] for name in pairs}
        for number in range(rounds):
            say(f"live feed to {streams} streams: round {number + 1} of {rounds}")
            for name, pair in pairs.items():
                spent[name].append(await pair.measure(seconds))
    bare = [each.rate for each in spent["bare"]]
    return [
        ratio(
            f"live feed to {streams}, {method}",
            "updates delivered a second",
            [each.rate for each in spent[method]],
            bare,
            f"{statistics.median(each.rate for each in spent[method]):,.0f} updates/s, "
            f"{statistics.median(each.server_us for each in spent[method]):.2f} us of the server each; "
            f"bare {statistics.median(bare):,.0f}",
            at_least=aim,
        )
        for method, aim in AIMS.items()
    ]


def sent_by(server: Service, http: httpx.AsyncClient) -> Callable[[], Awaitable[float]]:
    """Return how to learn how many updates a server has sent."""

    async def sent() -> float:
        return (await scrape(http, server.metrics_url, "reader")).get("stock_updates_sent_total", 0.0)

    return sent
