"""Whether a client has a stream, and what it knows of what it has missed, by its own account."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from flowcontrol import FlowControlClientInterceptor
from stock_client.connection import read_for_ever
from stock_client.metrics.client import ClientMetrics
from stock_client.metrics.presence import Presence
from stock_client.reading.stream import StreamReader
from stock_client.settings import ClientSettings
from stockservice.stock_pb2 import EmptyRequest, StockUpdate
from stockservice.stock_pb2_grpc import StockServiceServicer, add_StockServiceServicer_to_server

from waiting import until

BY_NUMBERS = (
    "stock_client_missed_updates_total",
    "stock_client_dropped_updates_total",
    "stock_client_repeated_updates_total",
)
"""What rests on the updates' numbers."""


class PlainService(StockServiceServicer):
    """Streams updates with the numbers given, one list a stream, and announces nothing, as the original does."""

    def __init__(self, *streams: list[int]) -> None:
        self._streams = list(streams)
        self.go_on = asyncio.Event()
        """Set it to let the stream end."""

    async def GetUpdates(self, request: EmptyRequest, context: Any) -> AsyncIterator[StockUpdate]:
        for sequence in self._streams.pop(0):
            yield StockUpdate(ticker="A", sequence=sequence)
        await self.go_on.wait()
        self.go_on.clear()


@asynccontextmanager
async def reading(service: StockServiceServicer, registry: CollectorRegistry) -> AsyncIterator[StreamReader]:
    """Yield a reader of the service, while it reads."""
    server = grpc.aio.server()
    add_StockServiceServicer_to_server(service, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    settings = ClientSettings(server_address=f"127.0.0.1:{port}", backoff_initial_seconds=0.01, _cli_parse_args=False)
    metrics = ClientMetrics(registry, "tester", Presence(60))
    reader = StreamReader(settings.schedule, metrics)
    interceptor = FlowControlClientInterceptor("tester", settings.window)
    task = asyncio.create_task(read_for_ever(settings, interceptor, reader, metrics))
    try:
        yield reader
    finally:
        task.cancel()
        await asyncio.wait((task,))
        await server.stop(None)


def by_numbers(registry: CollectorRegistry) -> set[float | None]:
    return {registry.get_sample_value(name, {"client": "tester"}) for name in BY_NUMBERS}


async def test_what_is_missed_is_not_known_until_an_update_has_a_number():
    registry = CollectorRegistry()
    service = PlainService([0, 0], [0], [1, 2], [0])
    with capture_logs() as events:
        async with reading(service, registry) as reader:
            for updates, known in ((2, {None}), (3, {None}), (5, {0.0}), (6, {None})):
                await until(lambda updates=updates: reader.updates == updates)
                assert by_numbers(registry) == known
                service.go_on.set()
    assert [event["event"] for event in events].count("stream.unnumbered") == 1


async def test_a_client_has_a_stream_from_the_first_answer_on_and_not_from_its_asking():
    registry = CollectorRegistry()

    def without() -> float:
        return registry.get_sample_value("stock_client_without_stream_seconds", {"client": "tester"}) or 0.0

    service = PlainService([], [1])
    async with reading(service, registry) as reader:
        await until(lambda: without() > 0.1)
        service.go_on.set()  # the second stream brings an update
        await until(lambda: reader.updates == 1)
        assert without() == 0


@pytest.mark.parametrize("within_seconds", [10.0, 60.0])
def test_who_has_no_stream_for_too_long_says_so_with_the_last_reason(within_seconds):
    now = 100.0
    presence = Presence(within_seconds, clock=lambda: now)
    now += within_seconds
    assert presence.problem() is None
    now += 1
    told = f"no stream for {within_seconds + 1:.0f} s, at most {within_seconds:g} s are allowed"
    assert presence.problem() == f"{told}; no server has answered yet"
    presence.last_end = "UNAVAILABLE: nobody"
    assert presence.problem() == f"{told}; UNAVAILABLE: nobody"
    presence.begin()
    now += 1_000
    assert (presence.problem(), presence.without_stream_seconds()) == (None, 0)
    presence.end()
    now += 1
    presence.end()
    now += within_seconds + 1
    assert presence.without_stream_seconds() == within_seconds + 2, "from the end of the last stream on"
