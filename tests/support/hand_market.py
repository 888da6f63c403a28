"""A stock server in this process whose beats the test gives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from prometheus_client import CollectorRegistry

from flowcontrol import FlowControlServerInterceptor, Ledger, LogReader, MessageLog, SendBook
from stock_server.health import Health
from stock_server.port.grpc_server import build
from stock_server.settings import ServerSettings
from stock_server.streams.feed import LiveFeed, size_of
from stock_server.streams.service import StockService
from stockfeed.pace import Pace
from stockfeed.source import StockSource

from waiting import until

PADDING_BYTES = 900
"""So a window of 16 KiB holds about 16 updates."""


class HandPace(Pace):
    """Beats when the test says so."""

    def __init__(self, initial_delay_seconds: float = 0.0) -> None:
        super().__init__(0.0, initial_delay_seconds)
        self.beaten = 0
        self.seen_by: dict[asyncio.Task[Any] | None, int] = {}
        """Who waits for beats, the feed and each stream that pauses, and up to which one it has done with them."""
        self._changed = asyncio.Event()

    def beat(self, count: int = 1) -> None:
        """Give so many beats."""
        self.beaten += count
        self._wake()

    def stop(self) -> None:
        super().stop()
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    @property
    def goes_on(self) -> bool:
        return False

    async def beats(self, most: int = 1) -> AsyncIterator[int]:
        listener = asyncio.current_task()
        self.seen_by[listener] = self.beaten
        try:
            while not self._stopped.is_set():
                if self.seen_by[listener] < self.beaten:
                    beats = min(most, self.beaten - self.seen_by[listener])
                    yield beats
                    self.seen_by[listener] += beats
                else:
                    await self._changed.wait()
        finally:
            del self.seen_by[listener]


def reads(book: SendBook) -> bool:
    """Tell whether a stream reads the log."""
    return isinstance(book.buffer, LogReader) and not book.buffer.is_closed


class Market:
    """The server. A beat makes an update of each ticker, for the feed and for each stream that waits for its own."""

    def __init__(
        self,
        pace: Pace | None = None,
        new_sources: Callable[[], Sequence[StockSource]] | None = None,
        ledger: Ledger[SendBook] | None = None,
        **settings: Any,
    ) -> None:
        given = {"host": "127.0.0.1", "grpc_port": 0, "tickers": "AAPL,MSFT,NVDA", "padding_bytes": PADDING_BYTES}
        self.settings = ServerSettings(**{**given, **settings})
        self.pace: Any = HandPace(self.settings.initial_delay_seconds) if pace is None else pace
        self.registry = CollectorRegistry()
        self.interceptor = FlowControlServerInterceptor(ledger=ledger, registry=self.registry)
        self.ledger = self.interceptor.ledger
        sources = new_sources or self._new_sources
        self.updates = MessageLog(self.settings.log_bounds, size_of=size_of)
        self.feed = LiveFeed(sources(), self.pace, self.updates)
        self.service = StockService(self.pace, self.feed, sources, self.settings.limits, self.registry)
        self.server, self.port = build(self.settings, self.service, Health(), self.interceptor, self.settings.grpc_port)

    def _new_sources(self) -> list[StockSource]:
        settings = self.settings
        return [StockSource(ticker, settings.padding_bytes) for ticker in settings.ticker_list]

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def subscribed(self) -> int:
        """How many streams read the log, once the feed waits for beats."""
        books = self.ledger.open_books()
        return sum(reads(book) for book in books) if self.feed._task in self.pace.seen_by else 0

    def books(self, client: str) -> list[SendBook]:
        """Return the books of a client's open streams."""
        return [book for book in self.ledger.open_books() if book.client == client]

    def tally(self, client: str) -> dict[str, float]:
        """Return the counts of all streams of a client, the closed ones and the open ones."""
        statement = self.ledger.statement()
        (account,) = [account for (_, name), account in statement.accounts.items() if name == client]
        return account.tally(statement.now)

    def metric(self, name: str, **labels: str) -> float:
        """Return the sum of the samples of that name that have these labels."""
        return sum(
            sample.value
            for family in self.registry.collect()
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    async def beat(self, count: int = 1) -> None:
        """Give so many beats; return when the feed has made its updates. It waits for no stream."""
        self.pace.beat(count)
        seen_by, feed = self.pace.seen_by, self.feed._task
        await until(lambda: feed is None or seen_by[feed] == self.pace.beaten, every_seconds=0.001, what="the feed")

    async def open_stream(self, client: str) -> SendBook:
        """Return the book of a client's only stream, once it takes updates."""

        def taking() -> list[SendBook]:
            feeds = self.feed._task is not None
            pausing = sum(book.policy == "pause" for book in self.ledger.open_books())
            taking = len(self.pace.seen_by) == pausing + feeds
            return [b for b in self.books(client) if taking and (b.policy == "pause" or b.buffer is not None)]

        (book,) = await until(taking, what=f"the stream of {client}")
        return book

    async def no_stream_of(self, client: str) -> None:
        await until(lambda: self.books(client), lambda books: books == [], what=f"no stream of {client}")

    async def stop(self) -> None:
        self.pace.stop()
        await self.server.stop(0)
        await asyncio.wait_for(self.interceptor.handlers_ended(), 5)
        del self.server  # grpc shuts a server down once more when it goes, and needs the loop for that
        await asyncio.sleep(0)
