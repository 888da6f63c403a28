"""How soon a client comes back to a server that ends its streams, and what it believes of what such a server says."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from flowcontrol import FlowControlClientInterceptor
from stock_client.connection import read_for_ever
from stock_client.ending import STATUS_DETAILS_KEY
from stock_client.metrics.client import ClientMetrics
from stock_client.metrics.presence import Presence
from stock_client.reading.stream import StreamReader
from stock_client.settings import ClientSettings
from stockservice.stock_pb2 import EmptyRequest, StockUpdate
from stockservice.stock_pb2_grpc import StockServiceServicer, add_StockServiceServicer_to_server

from waiting import until

TEN_YEARS_SECONDS = 10 * 365 * 86_400

Serve = Callable[[StockServiceServicer], Awaitable[str]]


class BriefService(StockServiceServicer):
    """Ends every stream after one update, and after so many seconds more."""

    def __init__(self, lasts_seconds: float = 0.0, retry_after_seconds: int | None = None) -> None:
        self._lasts_seconds = lasts_seconds
        self._retry_after_seconds = retry_after_seconds

    async def GetUpdates(self, request: EmptyRequest, context: Any) -> AsyncIterator[StockUpdate]:
        yield StockUpdate(sequence=1)
        await asyncio.sleep(self._lasts_seconds)
        trailing = ()
        if self._retry_after_seconds is not None:
            detail = AnyMessage()
            detail.Pack(RetryInfo(retry_delay=Duration(seconds=self._retry_after_seconds)))
            status = Status(code=grpc.StatusCode.UNAVAILABLE.value[0], details=[detail])
            trailing = ((STATUS_DETAILS_KEY, status.SerializeToString()),)
        await context.abort(grpc.StatusCode.UNAVAILABLE, "enough", trailing)


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Serve on a free port; return the address."""
    servers = []

    async def serve(service: StockServiceServicer) -> str:
        server = grpc.aio.server()
        add_StockServiceServicer_to_server(service, server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        servers.append(server)
        return f"127.0.0.1:{port}"

    yield serve
    for server in servers:
        await server.stop(None)


@pytest.fixture(autouse=True)
def _no_luck(monkeypatch):
    """Make the random wait the longest that it may be."""
    monkeypatch.setattr(random, "uniform", lambda low, high: high)


async def waits_of(address: str, count: int, **settings: float) -> list[float]:
    """Return how long the client waited after each of the first `count` streams."""
    read = ClientSettings(server_address=address, name="brief", _cli_parse_args=False, **settings)
    registry = CollectorRegistry()
    metrics = ClientMetrics(registry, read.name, Presence(60))
    reader = StreamReader(read.schedule, metrics)
    interceptor = FlowControlClientInterceptor(read.name, read.window, registry=registry)
    with capture_logs() as events:
        reading = asyncio.create_task(read_for_ever(read, interceptor, reader, metrics))
        try:
            return await until(
                lambda: [event["reconnect_in_seconds"] for event in events if event["event"] == "stream.end"],
                lambda waits: len(waits) >= count,
            )
        finally:
            reading.cancel()
            await asyncio.wait((reading,))


async def test_streams_that_end_after_an_update_are_opened_ever_less_often(serve: Serve) -> None:
    address = await serve(BriefService())
    waits = await waits_of(address, 6, backoff_initial_seconds=0.02, backoff_max_seconds=0.3)
    assert waits[:6] == [0.02, 0.04, 0.08, 0.16, 0.3, 0.3]


async def test_a_stream_that_lasted_ends_the_backoff(serve: Serve) -> None:
    address = await serve(BriefService(lasts_seconds=0.2))
    waits = await waits_of(address, 3, backoff_initial_seconds=0.02, backoff_max_seconds=0.1)
    assert waits[:3] == [0.02, 0.02, 0.02]


@pytest.mark.parametrize(("told", "believed"), [(0, 0), (TEN_YEARS_SECONDS, 5.0), (-TEN_YEARS_SECONDS, 0)])
async def test_a_server_keeps_a_client_away_for_so_long_and_no_longer(serve: Serve, told: int, believed: float) -> None:
    address = await serve(BriefService(retry_after_seconds=told))
    settings = {"backoff_initial_seconds": 0.02, "backoff_max_seconds": 0.3, "retry_after_max_seconds": 5.0}
    waits = await waits_of(address, 1, **settings)
    assert waits[0] == pytest.approx(believed + 0.02)
