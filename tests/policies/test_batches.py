"""Batches of updates: what is in one, how large it is, and that all books go on in updates."""

from __future__ import annotations

import pytest

from flowcontrol import BatchLimit, Window, wire_bytes
from flowcontrol.identity import Identity
from stock_server.metrics import UPDATES_SENT, UpdatesSent
from stockfeed.pace import Pace
from stockservice.stock_pb2 import StockUpdateBatch

from waiting import until

GET_BATCHES = "/stockservice.StockService/GetUpdateBatches"
BLOCKED_SECONDS = 0.05
LOOKS = 5


async def blocked(market, least_bytes):
    """Return the only book, once so much has been sent and its writer is blocked, in several looks in succession."""
    looks = []

    def look():
        (book,) = market.ledger.open_books() or (None,)
        long = book is not None and book.writing.lap_seconds(market.ledger.clock()) > BLOCKED_SECONDS
        if not long or book.messages not in looks[-1:]:
            looks.clear()
        if long and book.wire_bytes > least_bytes:
            looks.append(book.messages)
        return book if len(looks) >= LOOKS else None

    return await until(look, what="a blocked write")


def open_raw(opener, market, window):
    """Open a stream of batches whose messages come as bytes."""
    metadata = Identity.for_new_stream("raw", window).metadata()
    return opener.channel(market, window.size_bytes).unary_stream(GET_BATCHES)(b"", metadata=metadata)


@pytest.mark.parametrize("padding_bytes", [0, 900])
@pytest.mark.parametrize("window_bytes", [16_384, 65_535, 1_048_576])
@pytest.mark.parametrize("tickers", ["AAPL", "AAPL,B,BRK.A"])
async def test_flat_out_to_a_client_that_reads_nothing(opener, window_bytes, padding_bytes, tickers):
    """The ceiling is met to the batch, no batch is larger than a quarter of the window, and no update is left out."""
    window = Window(window_bytes)
    limit = BatchLimit.for_window(window)
    market = await opener.market(pace=Pace(0), padding_bytes=padding_bytes, tickers=tickers)
    call = open_raw(opener, market, window)
    batch_bytes = min(limit.most_bytes, limit.most_messages * (padding_bytes + 110))
    book = await blocked(market, window_bytes - batch_bytes)
    assert book.wire_bytes <= window_bytes
    assert book.produced == book.messages + book.waiting
    assert book.waiting == book.in_write <= limit.most_messages

    messages, sizes, updates = 0, [], []
    while messages < book.messages:
        data = await call.read()
        sizes.append(wire_bytes(len(data)))
        held = StockUpdateBatch.FromString(data).updates
        assert 1 <= len(held) <= limit.most_messages
        messages += len(held)
        updates += held
        if len(sizes) == 3:
            break
    assert max(sizes) <= limit.most_bytes
    for ticker in tickers.split(","):
        numbers = [update.sequence for update in updates if update.ticker == ticker]
        assert numbers == list(range(1, len(numbers) + 1))


async def test_both_ends_count_updates_and_the_bytes_on_the_wire(opener):
    opener.batches = True
    market = await opener.market(policy="pause")
    market.registry.register(UpdatesSent(market.ledger))
    client = opener.client(market)
    book = await market.open_stream("client")
    await market.beat(50)
    await client.caught_up(book)
    await until(lambda: len(client.metrics.updates), (150).__eq__, what="all updates")
    (received,) = client.interceptor.ledger.open_books()
    assert (book.produced, book.messages, received.messages) == (150, 150, 150)
    assert book.wire_bytes == received.wire_bytes
    assert book.batches == received.batches <= 75, "they have been gathered"
    assert market.metric(UPDATES_SENT) == 150
    assert market.metric("flowcontrol_server_sent_batches_total", client="client") == book.batches
    assert client.metric("stock_client_unprocessed_updates") == 0


async def test_at_a_low_rate_each_update_goes_alone(opener):
    opener.batches = True
    market = await opener.market(policy="pause", tickers="AAPL")
    client = opener.client(market)
    book = await market.open_stream("client")
    for beat in range(1, 21):
        await market.beat()
        await until(lambda: len(client.metrics.updates), beat.__eq__, what="the update")
    assert (book.messages, book.batches) == (20, 20)


async def test_an_update_in_the_middle_of_a_batch_waits_for_a_client_that_stops(opener):
    opener.batches = True
    market = await opener.market(policy="pause")
    client = opener.client(market)
    await market.open_stream("client")
    begin = client.metrics.begin

    def begin_and_stall(update):
        begin(update)
        client.stall()

    client.metrics.begin = begin_and_stall
    await market.beat()
    await until(lambda: client.metric("stock_client_unprocessed_updates"), (2.0).__eq__, what="two that wait")
    assert len(client.metrics.updates) == 1
    client.wake()
    client.metrics.begin = begin
    await until(lambda: len(client.metrics.updates), (3).__eq__, what="all three")
