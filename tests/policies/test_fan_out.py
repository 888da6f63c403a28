"""One feed for all streams: each update is made and serialised once."""

from __future__ import annotations

import asyncio
from typing import Any

from stockfeed.source import StockSource
from stockservice.stock_pb2 import StockUpdate

from waiting import until

STREAMS = 100
BEATS = 30
GET_UPDATES = "/stockservice.StockService/GetUpdates"


class Counted:
    """An update that tells when it is serialised."""

    def __init__(self, update: StockUpdate, serialised: list[StockUpdate]) -> None:
        self.ticker, self.sequence = update.ticker, update.sequence
        self._update = update
        self._serialised = serialised

    def SerializeToString(self) -> bytes:
        self._serialised.append(self._update)
        return self._update.SerializeToString()


class CountedSource(StockSource):
    def __init__(self, ticker: str, serialised: list[StockUpdate]) -> None:
        super().__init__(ticker, padding_bytes=50)
        self.serialised = serialised

    def next(self) -> Any:
        return Counted(super().next(), self.serialised)


async def test_a_hundred_streams_get_byte_identical_updates_that_were_serialised_once(opener):
    serialised: list[StockUpdate] = []
    sources = [CountedSource("AAPL", serialised), CountedSource("MSFT", serialised)]
    market = await opener.market(policy="drop-oldest", new_sources=lambda: sources)
    channel = opener.channel(market, window_bytes=65_535)
    calls = [channel.unary_stream(GET_UPDATES)(b"") for _ in range(STREAMS)]
    await until(lambda: market.subscribed, lambda subscribed: subscribed == STREAMS)
    await market.beat(BEATS)

    async def read_all(call) -> tuple[bytes, ...]:
        return tuple([await call.read() for _ in range(2 * BEATS)])

    streams = await asyncio.gather(*map(read_all, calls))
    assert len(set(streams)) == 1, "byte for byte the same"
    updates = [StockUpdate.FromString(data) for data in streams[0]]
    assert [(u.ticker, u.sequence) for u in updates] == [(t, n + 1) for n in range(BEATS) for t in ("AAPL", "MSFT")]
    assert [(update.ticker, update.sequence) for update in serialised] == [
        (update.ticker, update.sequence) for update in updates
    ], "each once"
    books = [book.snapshot() for book in market.ledger.open_books()]
    assert {(book.produced, book.dropped, book.waiting) for book in books} == {(2 * BEATS, 0, 0)}
    for call in calls:
        call.cancel()


async def test_stalled_streams_share_the_bytes_that_wait(opener):
    """What a stalled stream costs under a live policy is references."""
    market = await opener.market(policy="drop-oldest", buffer_updates=10)
    channel = opener.channel(market)
    calls = [channel.unary_stream(GET_UPDATES)(b"") for _ in range(20)]
    await until(lambda: market.subscribed, lambda subscribed: subscribed == 20)
    books = market.ledger.open_books()

    def waiting_after_a_beat() -> set[int]:
        market.pace.beat()
        return {book.waiting for book in books}

    await until(waiting_after_a_beat, lambda waiting: waiting == {11}, what="20 full buffers")
    await market.beat()
    waiting = [message for book in books for message in book.buffer.take_many(1_000)]
    assert len(waiting) == 200
    assert len({id(message) for message in waiting}) == 10
    for call in calls:
        call.cancel()
