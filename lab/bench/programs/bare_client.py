"""The least client that grpcio can make of the stock stream: what the services are compared with."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from pathlib import Path

import grpc

from flowcontrol import Window
from lab.bench.programs.counter import open_counter
from lab.bench.programs.stamps import Latencies
from stockservice.stock_pb2 import EmptyRequest
from stockservice.stock_pb2_grpc import StockServiceStub


def run_in_threads(target: str, options: list[tuple[str, int]], counter: memoryview) -> None:
    """Read, by the synchronous API, until the process is ended."""
    updates = 0
    with grpc.insecure_channel(target, options=options) as channel:
        for _ in StockServiceStub(channel).GetUpdates(EmptyRequest(), wait_for_ready=True):
            updates += 1
            counter[0] = updates


async def run(target: str, options: list[tuple[str, int]], counter: memoryview) -> None:
    """Read until the process is ended."""
    updates = 0
    async with grpc.aio.insecure_channel(target, options=options) as channel:
        async for _ in StockServiceStub(channel).GetUpdates(EmptyRequest(), wait_for_ready=True):
            updates += 1
            counter[0] = updates


async def run_stamped(target: str, options: list[tuple[str, int]], path: Path) -> None:
    """Read until SIGTERM, and save how long each update has taken."""
    latencies, stop = Latencies(), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)

    async def read() -> None:
        async for update in StockServiceStub(channel).GetUpdates(EmptyRequest(), wait_for_ready=True):
            latencies.note(update)

    async with grpc.aio.insecure_channel(target, options=options) as channel:
        reading = asyncio.create_task(read())
        await stop.wait()
        reading.cancel()
        await asyncio.wait((reading,))
    latencies.save(path)


def main() -> None:
    """Read."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", required=True)
    parser.add_argument("--counter", type=Path)
    parser.add_argument("--latencies", type=Path)
    parser.add_argument("--threads", action="store_true", help="the synchronous API")
    settings = parser.parse_args()
    options = Window().channel_options()
    if settings.latencies:
        asyncio.run(run_stamped(settings.target, options, settings.latencies))
        sys.exit()
    counter = open_counter(settings.counter)
    if settings.threads:
        run_in_threads(settings.target, options, counter)
    else:
        asyncio.run(run(settings.target, options, counter))


if __name__ == "__main__":
    main()
