"""Clients whose connection goes and that come back: they go on where they stopped, or know how many they have lost."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import grpc
import pytest
from cut_relay import relay_to
from structlog.testing import capture_logs

from stock_client.reading.resume import LOST_KEY, RESUME_KEY
from stock_client.reading.stream import POLICY_KEY, SOURCE_KEY
from stockservice.stock_pb2 import EmptyRequest, ResumeFrom
from stockservice.stock_pb2_grpc import StockServiceStub

from waiting import until

TICKERS = ("AAPL", "MSFT", "NVDA")
LIVE = ("replay", "conflate", "drop-oldest", "disconnect")
CUTS = 30


@pytest.fixture(params=[False, True], ids=["GetUpdates", "GetUpdateBatches"])
def opener(opener, request):
    opener.batches = request.param
    return opener


def call_from(opener: Any, market: Any, stopped: ResumeFrom | bytes, policy: str = "replay") -> Any:
    """Open a stream that goes on there."""
    data = stopped if isinstance(stopped, bytes) else stopped.SerializeToString()
    metadata = ((POLICY_KEY, policy), (RESUME_KEY, data))
    return StockServiceStub(opener.channel(market)).GetUpdates(EmptyRequest(), metadata=metadata)


async def next_book(market: Any, before: Any) -> Any:
    """Return the book of the client's next stream, once that reads."""
    (book,) = await until(
        lambda: [book for book in market.books("client") if book is not before and book.buffer is not None], what="back"
    )
    return book


@pytest.mark.parametrize("policy", LIVE)
async def test_over_many_cuts_nothing_is_missed_and_nothing_comes_twice(opener, policy):
    """The connection goes at random, with what is in flight; updates are made all along."""
    draw = random.Random(policy)
    market = await opener.market(buffer_updates=8, disconnect_after_seconds=3600)
    async with relay_to(market.port) as relay:
        client = opener.client(relay, policy)
        book = await market.open_stream("client")
        for _ in range(CUTS):
            await market.beat(draw.randrange(1, 12))
            await asyncio.sleep(draw.choice([0, 0, 0.002, 0.01]))
            relay.cut()
            await market.beat(draw.randrange(4))
            book = await next_book(market, book)
        await market.beat()
        for ticker in TICKERS:
            await until(lambda each=ticker: client.sequences(each)[-1:], lambda last: last == [market.pace.beaten])
        await client.die()
    assert (client.missed, client.repeated) == (0, 0)
    for ticker in TICKERS:
        sequences = client.sequences(ticker)
        assert sequences == sorted(set(sequences)), "each once, in order"
        if policy == "replay":
            assert sequences == list(range(sequences[0], market.pace.beaten + 1)), "every one of them"
    spans = sum(client.sequences(ticker)[-1] - client.sequences(ticker)[0] + 1 for ticker in TICKERS)
    assert client.dropped == spans - len(client.metrics.updates)
    assert (client.dropped == 0) is (policy == "replay")
    assert market.metric("stock_server_resumes_total", result="resumed") >= 1
    await market.no_stream_of("client")
    tally = market.tally("client")
    assert tally["produced"] == tally["messages"] + tally["dropped"]


async def test_what_the_log_has_no_more_is_counted_by_number_at_both_ends(opener):
    market = await opener.market(keep_updates=9, buffer_updates=9)
    async with relay_to(market.port) as relay:
        client = opener.client(relay, "replay")
        await market.open_stream("client")
        await market.beat(2)
        await until(lambda: client.sequences("NVDA")[-1:], [2].__eq__)
        with capture_logs() as events:
            await client.die()
            await market.no_stream_of("client")
            await market.beat(10)
            client.start()
            await until(lambda: client.sequences("NVDA")[-1:], [12].__eq__)
        lost = 3 * 10 - 9
        assert client.sequences("AAPL") == [1, 2, 10, 11, 12]
        assert (client.dropped, client.missed, client.repeated) == (lost, 0, 0)
        assert market.metric("stock_server_resume_lost_updates_total") == lost
        assert [int(event["lost"]) for event in events if event["event"] == "stream.resume.lost"] == [lost, lost]
        await client.die()


@pytest.mark.parametrize("stale", [b"\xff", b"no protobuf", b"\x0a\xff"])
async def test_what_cannot_be_read_is_refused_in_one_line(opener, stale):
    market = await opener.market()
    call = call_from(opener, market, stale)
    assert await call.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert await call.details() == "stock-resume-bin is no stockservice.ResumeFrom"


async def test_of_another_source_it_begins_with_the_next_update(opener):
    market = await opener.market()
    call = call_from(opener, market, ResumeFrom(source="that of yesterday", sequences={"AAPL": 1_000_000}))
    given = dict(await call.initial_metadata())
    assert (given[SOURCE_KEY], LOST_KEY in given) == (market.feed.source_id, False)
    await until(lambda: market.subscribed)
    await market.beat()
    assert (await call.read()).sequence == 1
    assert market.metric("stock_server_resumes_total", result="other_source") == 1


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("replay", [("AAPL", 3), ("MSFT", 3), ("NVDA", 3), ("AAPL", 4), ("MSFT", 4), ("NVDA", 4)]),
        ("conflate", [("AAPL", 4), ("MSFT", 4), ("NVDA", 4)]),
        ("drop-oldest", [("NVDA", 3), ("AAPL", 4), ("MSFT", 4), ("NVDA", 4)]),
    ],
)
async def test_any_client_that_says_where_it_stopped_gets_what_comes_next(opener, policy, expected):
    market = await opener.market(buffer_updates=4)
    market.feed.begin()
    await until(lambda: market.feed._task in market.pace.seen_by)
    await market.beat(4)
    stopped = ResumeFrom(source=market.feed.source_id, sequences=dict.fromkeys(TICKERS, 2))
    call = call_from(opener, market, stopped, policy)
    assert dict(await call.initial_metadata())[LOST_KEY] == "0"
    assert [(u.ticker, u.sequence) for u in [await call.read() for _ in expected]] == expected
    (book,) = market.ledger.open_books()
    await until(lambda: book.messages, len(expected).__eq__)
    taken = book.snapshot()
    assert (taken.produced, taken.dropped, taken.waiting) == (6, 6 - len(expected), 0)


async def test_where_it_stopped_under_pause_says_nothing(opener):
    market = await opener.market()
    call = call_from(opener, market, ResumeFrom(source=market.feed.source_id, sequences={"AAPL": 7}), "pause")
    await until(lambda: market.pace.seen_by)
    market.pace.beat()
    assert (await call.read()).sequence == 1
    assert LOST_KEY not in dict(await call.initial_metadata())


async def test_a_thousand_tickers_fit(opener):
    tickers = [f"TICKER{number:06}" for number in range(1_000)]
    market = await opener.market(tickers=",".join(tickers), padding_bytes=0)
    market.feed.begin()
    await until(lambda: market.feed._task in market.pace.seen_by)
    await market.beat(2)
    stopped = ResumeFrom(source=market.feed.source_id, sequences=dict.fromkeys(tickers, 1))
    call = call_from(opener, market, stopped)
    assert [(await call.read()).sequence for _ in range(100)] == [2] * 100
    largest = ResumeFrom(source=market.feed.source_id, sequences=dict.fromkeys(tickers, 2**40))
    assert largest.ByteSize() < market.settings.max_metadata_bytes - 1_000


async def test_a_client_whose_numbers_do_not_fit_says_so_once_and_goes_on_without(opener):
    tickers = ",".join(f"TICKER{number:06}" for number in range(100))
    market = await opener.market(tickers=tickers, padding_bytes=0, max_metadata_bytes=1_024)
    client = opener.client(market, "replay")
    with capture_logs() as events:
        for _ in range(2):
            await market.open_stream("client")
            before = len(client.metrics.updates)
            await market.beat()
            await until(lambda seen=before: len(client.metrics.updates) - seen, (100).__eq__)
            await client.die()
            await market.no_stream_of("client")
            client.start()
        await market.open_stream("client")
    told = [event for event in events if event["event"] == "stream.resume.refused"]
    assert len(told) == 1
    assert "metadata" in told[0]["reason"]
