"""Who chooses the policy, what is refused, and how a client reads gaps under each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from stock_client.reading.stream import POLICY_KEY, SOURCE_KEY
from stock_server.streams.policy import Policy
from stockfeed.pace import Pace
from stockservice.stock_pb2 import EmptyRequest, StockUpdate
from stockservice.stock_pb2_grpc import StockServiceServicer, StockServiceStub, add_StockServiceServicer_to_server

from waiting import until

LIVE = [policy for policy in Policy if policy is not Policy.PAUSE]


def wanted(policy: str) -> tuple[tuple[str, str], ...]:
    return ((POLICY_KEY, policy),)


async def refusal(opener, policy: str, **settings: Any) -> grpc.aio.AioRpcError:
    market = await opener.market(**settings)
    call = StockServiceStub(opener.channel(market)).GetUpdates(EmptyRequest(), metadata=wanted(policy))
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await asyncio.wait_for(call.read(), 5)
    await until(market.ledger.open_books, lambda books: books == [], what="no open stream")
    call = StockServiceStub(opener.channel(market)).GetUpdates(EmptyRequest())
    reading = asyncio.ensure_future(call.read())
    # a beat before the stream waits for one is none for it
    await until(lambda: market.pace.beat() or reading.done(), what="an update")
    assert reading.result().sequence > 0, "the server goes on, and the refused stream takes no room"
    return failure.value


@pytest.mark.parametrize("policy", ["none", "", "PAUSE", "drop_oldest", "x" * 5_000])
async def test_an_unknown_policy(opener, policy):
    error = await refusal(opener, policy, allowed_policies="pause,conflate", max_streams=1)
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert error.details() == "no such policy; stock-policy takes one of: conflate, pause"


@pytest.mark.parametrize("policy", ["drop-oldest", "disconnect"])
async def test_a_forbidden_policy(opener, policy):
    error = await refusal(opener, policy, allowed_policies="conflate", max_streams=1)
    assert error.code() is grpc.StatusCode.PERMISSION_DENIED
    assert error.details() == f"{policy} is not allowed here; stock-policy takes one of: conflate, pause"


@pytest.mark.parametrize("default", list(Policy))
async def test_the_default_is_the_servers_and_always_allowed(opener, default):
    market = await opener.market(policy=default, allowed_policies="pause")
    stub = StockServiceStub(opener.channel(market))
    for metadata in ((), wanted(default.value)):
        call = stub.GetUpdates(EmptyRequest(), metadata=metadata)
        assert dict(await call.initial_metadata())[POLICY_KEY] == default.value
        call.cancel()


async def test_each_stream_of_a_connection_has_the_policy_it_asks_for(opener):
    market = await opener.market()
    stub = StockServiceStub(opener.channel(market))
    calls = [stub.GetUpdates(EmptyRequest(), metadata=wanted(policy)) for policy in Policy for _ in range(2)]
    given = [dict(await call.initial_metadata()) for call in calls]
    assert [metadata[POLICY_KEY] for metadata in given] == [policy for policy in Policy for _ in range(2)]
    sources = [metadata[SOURCE_KEY] for metadata in given]
    assert len(set(sources[:2])) == 2, "a source of its own for each that pauses"
    assert set(sources[2:]) == {market.feed.source_id}, "one for all others"
    await until(lambda: market.subscribed, lambda subscribed: subscribed == 2 * len(LIVE))
    for policy in Policy:
        assert market.metric("flowcontrol_server_policy_streams", policy=policy) == 2
    for call in calls:
        call.cancel()
    await until(lambda: market.subscribed, lambda subscribed: subscribed == 0)


async def test_a_client_that_returns_with_another_policy(opener):
    """Its counts go on under its one name; each stream is treated as it asked."""
    market = await opener.market()
    for number, policy in enumerate(["pause", "conflate", "drop-oldest", "pause"], start=1):
        client = opener.client(market, policy)
        book = await market.open_stream("client")
        assert book.policy == policy
        assert market.metric("flowcontrol_server_policy_streams", client="client") == 1
        assert market.metric("flowcontrol_server_policy_streams", client="client", policy=policy) == 1
        await until(lambda client=client: market.pace.beat() or client.sequences("NVDA"))
        await client.die()
        await market.no_stream_of("client")
        assert (client.dropped, client.missed) == (0, 0) or policy == "conflate"
        assert market.metric("flowcontrol_server_streams_opened_total", client="client") == number


async def test_a_server_that_drains_ends_streams_of_all_policies(opener):
    market = await opener.market()
    stub = StockServiceStub(opener.channel(market))
    calls = [stub.GetUpdates(EmptyRequest(), metadata=wanted(policy)) for policy in Policy]
    await until(lambda: market.subscribed, lambda subscribed: subscribed == len(LIVE))
    market.pace.stop()
    for call in calls:
        assert await asyncio.wait_for(call.code(), 5) is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize("policy", list(Policy))
async def test_a_server_that_drains_ends_streams_that_have_not_begun(opener, policy):
    """They wait out the initial delay, while the feed has begun for others and ends first."""
    market = await opener.market(pace=Pace(3600, initial_delay_seconds=3600))
    market.feed.begin()
    await asyncio.sleep(0)
    call = StockServiceStub(opener.channel(market)).GetUpdates(EmptyRequest(), metadata=wanted(policy))
    await call.initial_metadata()
    market.pace.stop()
    assert await asyncio.wait_for(call.code(), 5) is grpc.StatusCode.UNAVAILABLE


class Gappy(StockServiceServicer):
    """Gives out streams from a script: for each the policy named, and the numbers sent; then it ends them."""

    def __init__(self, *streams: tuple[str | None, list[int]]) -> None:
        self._streams = iter(streams)

    async def GetUpdates(self, request: EmptyRequest, context: Any) -> AsyncIterator[StockUpdate]:
        try:
            policy, numbers = next(self._streams)
        except StopIteration:
            await asyncio.Event().wait()
        named = () if policy is None else ((POLICY_KEY, policy),)
        await context.send_initial_metadata(((SOURCE_KEY, "one and the same"), *named))
        for number in numbers:
            yield StockUpdate(ticker="AAPL", sequence=number)
        await context.abort(grpc.StatusCode.UNAVAILABLE, "that was all")


class GappyMarket:
    """Stands where a market does."""

    def __init__(self, *streams: tuple[str | None, list[int]]) -> None:
        self.server = grpc.aio.server()
        add_StockServiceServicer_to_server(Gappy(*streams), self.server)
        self.address = f"127.0.0.1:{self.server.add_insecure_port('127.0.0.1:0')}"

    async def read_all(self, opener, streams: int) -> Any:
        """Let a client read all streams; return it."""
        await self.server.start()
        try:
            client = opener.client(self)
            await until(lambda: client.reader.ends, lambda ends: len(ends) == streams, what="the streams' ends")
            await client.die()
        finally:
            await self.server.stop(0)
            del self.server
        return client


@pytest.mark.parametrize(
    ("policy", "dropped", "missed"),
    [("conflate", 5, 0), ("drop-oldest", 5, 0), ("disconnect", 5, 0), ("pause", 0, 5), (None, 0, 5), ("later", 0, 5)],
)
async def test_a_gap_is_dropped_where_the_policy_explains_it_and_missed_elsewhere(opener, policy, dropped, missed):
    client = await GappyMarket((policy, [1, 2, 5, 9])).read_all(opener, streams=1)
    assert (client.dropped, client.missed, client.repeated) == (dropped, missed, 0)


async def test_a_gap_counts_by_the_policy_of_the_stream_that_it_is_seen_on(opener):
    """The server's default has changed while the client was away; the source goes on."""
    streams = [("conflate", [1, 3]), ("pause", [5, 6, 8]), ("drop-oldest", [12])]
    client = await GappyMarket(*streams).read_all(opener, streams=3)
    assert (client.dropped, client.missed) == (1 + 3, 1 + 1)


async def test_updates_that_come_again_are_neither_dropped_nor_missed(opener):
    client = await GappyMarket(("conflate", [1, 2, 2, 1, 3])).read_all(opener, streams=1)
    assert (client.dropped, client.missed, client.repeated) == (0, 0, 2)
