"""The policy `disconnect`: how a stream is ended, what the client is told, and that it waits and comes back."""

from __future__ import annotations

import grpc
from google.rpc import code_pb2, error_details_pb2, status_pb2

from stock_client.ending import STATUS_DETAILS_KEY
from stockservice.stock_pb2 import EmptyRequest
from stockservice.stock_pb2_grpc import StockServiceStub

from waiting import until

TICKERS = 3


async def until_ended(market):
    """Make updates until the handler has given up."""
    await until(lambda: market.pace.beat() or market.service.streams, lambda streams: streams == 0, what="the end")


async def test_the_end_says_why_and_when_to_come_back(opener):
    market = await opener.market(
        policy="disconnect", disconnect_after_seconds=0.2, buffer_updates=4, retry_delay_seconds=2.5
    )
    call = StockServiceStub(opener.channel(market)).GetUpdates(EmptyRequest())
    await until(lambda: market.subscribed)
    (book,) = market.ledger.open_books()
    await until_ended(market)
    assert (book.waiting, book.in_write) == (5, 1), "the buffer, and what the transport has not sent yet"
    updates = 0
    try:
        while True:
            await call.read()
            updates += 1
    except grpc.aio.AioRpcError as ended:
        error = ended
    await until(market.ledger.open_books, lambda books: books == [])
    assert updates == book.messages, "all that was in flight comes before the status"
    assert (book.produced, book.dropped) == (updates + book.dropped, book.produced - updates)

    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert error.details().startswith("the client has been behind for 0.")
    assert error.details().endswith(" s, its buffer of 4 updates full; it may come back in 2.5 s")
    status = status_pb2.Status.FromString(dict(error.trailing_metadata())[STATUS_DETAILS_KEY])
    assert (status.code, status.message) == (code_pb2.RESOURCE_EXHAUSTED, error.details())
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    assert status.details[0].Unpack(info)
    assert status.details[1].Unpack(retry)
    assert (info.reason, info.domain) == ("SLOW_CONSUMER", "stockservice")
    assert info.metadata["buffer_updates"] == "4"
    assert 0.2 <= float(info.metadata["behind_seconds"]) < 30
    assert retry.retry_delay.ToMilliseconds() == 2_500


async def test_the_client_waits_as_told_comes_back_and_explains_the_gap(opener):
    retry_delay_seconds = 0.5
    market = await opener.market(
        disconnect_after_seconds=0.05, buffer_updates=4, retry_delay_seconds=retry_delay_seconds
    )
    client = opener.client(market, "disconnect")
    await market.open_stream("client")
    await market.beat()
    await until(lambda: client.sequences("NVDA"))

    for spell in (1, 2):
        book = await market.open_stream("client")
        client.stall()
        await until_ended(market)
        client.wake()
        await until(lambda: client.reader.ends, lambda ends, wanted=spell: len(ends) == wanted, what="the ends")
        before = client.sequences("NVDA")[-1]
        await market.beat(10)
        await until(lambda: market.books("client"), lambda books, old=book: books and books != [old])
        book = await market.open_stream("client")
        ended_at, end = client.reader.ends[-1]
        assert end.retry_after_seconds == retry_delay_seconds
        assert str(end).startswith("RESOURCE_EXHAUSTED: the client has been behind for ")
        assert book.opened_at - ended_at >= retry_delay_seconds
        await market.beat()
        await until(lambda: client.sequences("NVDA")[-1], lambda last: last == market.pace.beaten)
        assert client.sequences("NVDA")[-1] - before > 10

    assert client.metric("stock_client_reconnects_total") == 2
    assert (client.missed, client.repeated) == (0, 0)
    await client.caught_up(book)
    assert client.dropped == TICKERS * market.pace.beaten - len(client.metrics.updates), "every one of the feed"
    tally = market.tally("client")
    assert tally["produced"] == tally["messages"] + tally["dropped"]


async def test_a_client_that_reads_in_time_is_not_ended(opener):
    market = await opener.market(policy="disconnect", disconnect_after_seconds=0, buffer_updates=6)
    client = opener.client(market)
    book = await market.open_stream("client")
    for _ in range(100):
        await market.beat()
        await client.caught_up(book)
    assert (client.reader.ends, book.dropped, book.messages) == ([], 0, 300)


async def test_an_end_that_nobody_reads_holds_no_room_and_goes_with_its_client(opener):
    """The status waits behind what is in flight; the stream no longer counts, and the feed has forgotten it."""
    market = await opener.market(policy="disconnect", disconnect_after_seconds=0, buffer_updates=4, max_streams=1)
    stalled = opener.client(market, name="stalled")
    stalled.stall()
    await market.open_stream("stalled")
    await until_ended(market)
    assert market.subscribed == 0
    assert len(market.books("stalled")) == 1

    other = opener.client(market, "pause", name="other")
    await until(lambda: market.pace.beat() or other.sequences("NVDA"))
    await stalled.die()
    await market.no_stream_of("stalled")
    tally = market.tally("stalled")
    assert tally["produced"] == tally["messages"] + tally["dropped"]


async def test_one_that_is_ended_leaves_the_others_alone(opener):
    market = await opener.market(policy="disconnect", disconnect_after_seconds=0, buffer_updates=4)
    reader = opener.client(market, name="reader")
    book = await market.open_stream("reader")
    stalled = opener.client(market, name="stalled")
    stalled.stall()
    await until(lambda: market.subscribed, lambda subscribed: subscribed == 2)
    for _ in range(60):
        await market.beat()
        await reader.caught_up(book)
    await until(lambda: market.subscribed, lambda subscribed: subscribed == 1)
    for ticker in ("AAPL", "MSFT", "NVDA"):
        assert reader.sequences(ticker) == list(range(1, 61))
