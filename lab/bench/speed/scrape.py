"""What a scrape costs a server with many named clients, and how large its page is."""

from __future__ import annotations

import asyncio
import statistics
from contextlib import AsyncExitStack
from pathlib import Path

import httpx

from lab.bench.speed.measure import Measure, figure
from lab.bench.speed.pair import processor_seconds, reading
from lab.console import Say
from lab.processes.samples import scrape
from lab.processes.services import ServiceFailedError, run_server

OPEN_SECONDS = 60.0


async def measure_scrapes(clients: int, rounds: int, http: httpx.AsyncClient, folder: Path, say: Say) -> list[Measure]:
    """Open a stream for each client's name, with hardly an update, and scrape."""
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(run_server(folder / "scrape", "--update-interval-seconds", "600"))
        address = f"127.0.0.1:{server.grpc_port}"
        arguments = ("--streams", str(clients), "--named")
        await stack.enter_async_context(reading(server.process.pid, address, folder, *arguments))
        say(f"scrapes: opens a stream for each of {clients:,} names")
        deadline = asyncio.get_running_loop().time() + OPEN_SECONDS
        while (await scrape(http, server.metrics_url, "")).get("stock_server_streams", 0) < clients:
            if asyncio.get_running_loop().time() > deadline:
                raise ServiceFailedError(f"{clients:,} streams: not within {OPEN_SECONDS:g} s")
            await asyncio.sleep(1.0)
        seconds, sizes, wire = [], [], []
        for number in range(rounds):
            say(f"scrapes: round {number + 1} of {rounds}")
            await asyncio.sleep(1.0)  # the page rests as long as it has taken
            before = processor_seconds(server.process.pid)
            answer = (await http.get(server.metrics_url)).raise_for_status()
            seconds.append(processor_seconds(server.process.pid) - before)
            sizes.append(len(answer.content))
            wire.append(int(answer.headers["content-length"]))
    lines = answer.text.count("\n") - answer.text.count("\n#")
    detail = f"{lines:,} series, {statistics.median(sizes) / 1e6:.2f} MB, gzip {statistics.median(wire) / 1e6:.2f}"
    return [figure("scrape", f"processor time with {clients:,} named clients", seconds, "s", detail, at_most=0.1)]
