"""A fault in the live feed, or in a source, is told, ends the stream that it is of, and nothing else."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
from structlog.testing import capture_logs

from flowcontrol import FlowControlServerInterceptor, MessageLog
from flowcontrol.identity import CLIENT_NAME_KEY
from stock_server.streams.feed import FAULTS, UPDATES_A_TURN, LiveFeed, size_of
from stock_server.streams.service import FAULT
from stockfeed.source import StockSource
from stockservice.stock_pb2 import EmptyRequest, StockUpdate
from stockservice.stock_pb2_grpc import StockServiceStub

from byte_service import session_of
from waiting import until

DETAIL = "of no client's concern"


class Failing(StockSource):
    """A source that fails while it is told to."""

    fails = False

    def next(self) -> StockUpdate:
        if self.fails:
            raise ZeroDivisionError(DETAIL)
        return super().next()


def open_stream(opener: Any, market: Any, client: str) -> Any:
    channel = opener.channel(market, window_bytes=65_535)
    return StockServiceStub(channel).GetUpdates(EmptyRequest(), metadata=((CLIENT_NAME_KEY, client),))


async def end_of(call: Any) -> tuple[grpc.StatusCode, str | None]:
    with pytest.raises(grpc.aio.AioRpcError) as ended:
        await call.read()
    return ended.value.code(), ended.value.details()


def faults() -> float:
    return float(FAULTS._value.get())


async def test_a_reader_that_fails_ends_its_stream_and_the_others_go_on(opener):
    market = await opener.market(policy="drop-oldest")
    calls = {client: open_stream(opener, market, client) for client in ("one", "broken", "two")}
    await until(lambda: market.subscribed, lambda subscribed: subscribed == 3)
    (broken,) = market.books("broken")

    def fail(*_: object) -> None:
        raise ZeroDivisionError(DETAIL)

    before = faults()
    broken.buffer._coming = fail
    with capture_logs() as events:
        await market.beat()
        assert await end_of(calls["broken"]) == FAULT
        await market.beat()
    for client in ("one", "two"):
        updates = [await calls[client].read() for _ in range(6)]
        assert [update.sequence for update in updates] == [1, 1, 1, 2, 2, 2]
        calls[client].cancel()
    (told,) = [event for event in events if event["event"] == "stream.failed"]
    assert (told["client"], faults() - before) == ("broken", 1)


async def test_a_source_that_fails_keeps_nobody_from_the_others_and_may_recover(opener):
    sources = [StockSource("AAPL"), Failing("MSFT"), StockSource("NVDA")]
    market = await opener.market(policy="drop-oldest", new_sources=lambda: sources)
    call = open_stream(opener, market, "one")
    await until(lambda: market.subscribed, lambda subscribed: subscribed == 1)
    before = faults()
    with capture_logs() as events:
        for fails in (False, True, True, False):
            Failing.fails = fails
            await market.beat()
    updates = [await call.read() for _ in range(10)]
    call.cancel()
    assert "".join(update.ticker[0] for update in updates) == "AMN" + "AN" + "AN" + "AMN"
    assert faults() - before == 2
    assert [(event["event"], event["ticker"]) for event in events if event["event"].startswith("feed.")] == [
        ("feed.source.failed", "MSFT"),
        ("feed.source.recovered", "MSFT"),
    ], "not once for each update"


async def test_a_source_of_ones_own_that_fails_ends_the_stream_and_keeps_the_details_to_itself(opener):
    market = await opener.market(policy="pause", new_sources=lambda: [Failing("AAPL")])
    Failing.fails = True
    call = open_stream(opener, market, "one")
    with capture_logs() as events:
        await market.open_stream("one")
        market.pace.beat()
        assert await end_of(call) == FAULT
    Failing.fails = False
    (told,) = [event for event in events if event["event"] == "stream.failed"]
    assert (told["client"], told["exc_info"]) == ("one", True)


class Gone:
    """The context of a client that has gone, before the server has been told: it takes no status any more."""

    def __init__(self, context: Any) -> None:
        self._context = context
        self.aborts: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    async def abort(self, *status: Any) -> None:
        self.aborts.append(status)
        raise grpc.aio.InternalError("the call is over")


async def test_a_stream_whose_client_has_gone_is_ended_once_and_is_no_fault(opener):
    market = await opener.market(policy="pause")
    contexts: list[Gone] = []

    async def updates(request: EmptyRequest, context: Any) -> Any:
        contexts.append(Gone(context))
        async for update in market.service.GetUpdates(request, contexts[-1]):
            yield update

    method = grpc.unary_stream_rpc_method_handler(updates, EmptyRequest.FromString, StockUpdate.SerializeToString)
    handlers = grpc.method_handlers_generic_handler("stockservice.StockService", {"GetUpdates": method})
    with capture_logs() as events:
        async with session_of([FlowControlServerInterceptor()], [], handlers) as channel:
            call = StockServiceStub(channel).GetUpdates(EmptyRequest())
            await until(lambda: market.pace.seen_by, what="one who waits for a beat")
            market.pace.stop()
            await end_of(call)
    (context,) = contexts
    assert [status[0] for status in context.aborts] == [grpc.StatusCode.UNAVAILABLE]
    assert [event for event in events if event["event"] == "stream.failed"] == []


async def test_a_beat_of_many_tickers_gives_others_turns():
    turns_a_beat = 10
    turns: list[int] = []

    class OneBeat:
        goes_on = False

        async def beats(self, most):
            yield 1
            turns.append(others)

    others = 0
    updates: MessageLog[Any] = MessageLog(size_of=size_of)
    sources = [StockSource(f"T{number}") for number in range(turns_a_beat * UPDATES_A_TURN)]
    pace: Any = OneBeat()
    running = asyncio.ensure_future(LiveFeed(sources, pace, updates)._run())
    while not running.done():
        others += 1
        await asyncio.sleep(0)
    assert turns[0] >= turns_a_beat
    assert updates.head == len(sources)
