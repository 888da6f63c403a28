"""What an update costs in Python, in calls of functions: a count that no busy machine moves.

The transport's share is grpc's, and the same whatever is around it; `lab bench` measures both together.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any

import grpc
import pytest
from prometheus_client import CollectorRegistry

from flowcontrol import FlowControlClientInterceptor, FlowControlServerInterceptor, MessageLog, Window
from stock_client.metrics.client import ClientMetrics
from stock_client.metrics.presence import Presence
from stock_client.reading.processing import Processing
from stock_client.reading.stream import StreamReader, count_in
from stock_client.reading.update_log import UpdateLog
from stock_server.streams.feed import LiveFeed, size_of
from stock_server.streams.service import Limits, StockService
from stockfeed.pace import Pace
from stockfeed.source import StockSource
from stockservice.stock_pb2 import StockUpdate, StockUpdateBatch

UPDATES = 3_000
ABOVE = 1.1
"""How much more than was counted is let through: the counts are the same on each Python, give or take a call."""

SERVER = {"GetUpdates": 33, "GetUpdateBatches": 18}
CLIENT = {"GetUpdates": 32, "GetUpdateBatches": 6.5}
"""Calls an update, as counted when this was written."""

SERIALIZERS = {"GetUpdates": StockUpdate.SerializeToString, "GetUpdateBatches": StockUpdateBatch.SerializeToString}


async def calls_in(work: Callable[[], Awaitable[object]]) -> int:
    """Return how many functions are called, in Python and in C."""
    calls = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        await work()
    finally:
        sys.setprofile(None)
    return calls


class Context:
    """What grpc gives a handler, without a transport."""

    def invocation_metadata(self) -> tuple[()]:
        return ()

    def add_done_callback(self, callback: object) -> None:
        pass

    def auth_context(self) -> dict[str, object]:
        return {}

    def peer(self) -> str:
        return "nowhere"

    async def send_initial_metadata(self, metadata: object) -> None:
        pass


async def sent(method: str) -> Callable[[], Awaitable[object]]:
    """Return what takes messages from the measured handler as grpc does, until so many updates have come."""
    pace = Pace(0)
    feed = LiveFeed([StockSource()], pace, MessageLog(size_of=size_of))
    service = StockService(pace, feed, lambda: [StockSource()], Limits(max_streams=1))
    handler = grpc.unary_stream_rpc_method_handler(getattr(service, method), bytes, SERIALIZERS[method])

    class Details:
        method = ""
        invocation_metadata = ()

    async def found(_: object) -> Any:
        return handler

    details: Any = Details
    details.method = f"/stockservice.StockService/{method}"
    measured: Any = await FlowControlServerInterceptor(registry=CollectorRegistry()).intercept_service(found, details)
    count = {"GetUpdates": lambda message: 1, "GetUpdateBatches": lambda message: message.count}[method]

    async def take() -> None:
        updates = 0
        async with aclosing(measured.unary_stream(b"", Context())) as messages:
            async for message in messages:
                measured.response_serializer(message)
                updates += count(message)
                if updates >= UPDATES:
                    return

    return take


class Call:
    """A call whose messages are all there."""

    def __init__(self, messages: list[Any]) -> None:
        self._messages = iter(messages)

    def add_done_callback(self, callback: object) -> None:
        pass

    def done(self) -> bool:
        return False

    async def initial_metadata(self) -> dict[str, str]:
        return {"stock-source": "a"}

    async def read(self) -> Any:
        return next(self._messages, grpc.aio.EOF)

    async def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.OK

    async def details(self) -> str:
        return ""

    def cancel(self) -> None:
        pass


def received(method: str) -> Callable[[], Awaitable[object]]:
    """Return what reads so many updates, as the client does."""
    source = StockSource()
    updates = [source.next() for _ in range(UPDATES)]
    messages: list[Any] = updates
    if method == "GetUpdateBatches":
        messages = [StockUpdateBatch(updates=updates[begin : begin + 150]) for begin in range(0, UPDATES, 150)]
    registry = CollectorRegistry()
    interceptor = FlowControlClientInterceptor("tester", Window(), registry=registry, count_of=count_in)
    metrics = ClientMetrics(registry, "tester", Presence(60))
    update_log = UpdateLog(0)
    reader = StreamReader(
        Processing.parse("none"), metrics, batches=method == "GetUpdateBatches", update_log=update_log
    )

    class Stub:
        def start(self, request: object, metadata: Any) -> Any:
            return interceptor.start(lambda *_, **__: Call(messages), "a.B/C", request, metadata)

        GetUpdates = GetUpdateBatches = start

    async def read() -> None:
        with pytest.raises(Exception, match="OK"):
            await reader.read_one_stream(Stub())  # type: ignore[arg-type]
        update_log.close()
        assert reader.updates == UPDATES

    return read


@pytest.mark.parametrize("method", SERVER)
async def test_calls_of_the_server(method):
    calls = await calls_in(await sent(method)) / UPDATES
    assert SERVER[method] / 2 < calls <= SERVER[method] * ABOVE, f"{calls:.1f} calls an update"


@pytest.mark.parametrize("method", CLIENT)
async def test_calls_of_the_client(method):
    calls = await calls_in(received(method)) / UPDATES
    assert CLIENT[method] / 2 < calls <= CLIENT[method] * ABOVE, f"{calls:.1f} calls an update"
