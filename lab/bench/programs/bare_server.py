"""The least server that grpcio can make of the stock stream: what the services are compared with."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

from lab.bench.programs.stamps import stamp_updates
from stockfeed.source import StockSource
from stockservice.stock_pb2 import EmptyRequest, StockUpdate
from stockservice.stock_pb2_grpc import StockServiceServicer, add_StockServiceServicer_to_server


class Bare(StockServiceServicer):
    """As fast as it goes, or at an interval."""

    def __init__(self, interval_seconds: float) -> None:
        self._interval_seconds = interval_seconds

    async def GetUpdates(self, request: EmptyRequest, context: Any) -> AsyncIterator[StockUpdate]:
        """Yield updates."""
        source, interval = StockSource(), self._interval_seconds
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            yield source.next()
            if interval:
                due = max(due + interval, loop.time())
                await asyncio.sleep(due - loop.time())


class BareInThreads(StockServiceServicer):
    """The same, synchronous."""

    def GetUpdates(self, request: EmptyRequest, context: Any) -> Iterator[StockUpdate]:
        """Yield updates."""
        source = StockSource()
        while True:
            yield source.next()


def run_in_threads() -> None:
    """Serve until the process is ended."""
    server = grpc.server(ThreadPoolExecutor(4))
    add_StockServiceServicer_to_server(BareInThreads(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    server.wait_for_termination()


async def run(interval_seconds: float) -> None:
    """Serve until the process is ended."""
    server = grpc.aio.server()
    add_StockServiceServicer_to_server(Bare(interval_seconds), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(port, flush=True)
    await server.wait_for_termination()


def main() -> None:
    """Serve, and print the port."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--interval-seconds", type=float, default=0.0)
    parser.add_argument("--threads", action="store_true", help="the synchronous API")
    parser.add_argument("--stamped", action="store_true")
    settings = parser.parse_args()
    if settings.stamped:
        stamp_updates()
    if settings.threads:
        run_in_threads()
    else:
        asyncio.run(run(settings.interval_seconds))


if __name__ == "__main__":
    main()
