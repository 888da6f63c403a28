"""A stock server in this process whose beats the test gives, and clients of it that stall and wake when told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from typing import Any

import grpc
import pytest
from prometheus_client import CollectorRegistry

from flowcontrol import (
    FlowControlClientInterceptor,
    FlowControlServerInterceptor,
    Ledger,
    LogReader,
    MessageLog,
    SendBook,
)
from stock_client.connection import read_for_ever
from stock_client.ending import StreamEndedError
from stock_client.metrics import ClientMetrics
from stock_client.presence import Presence
from stock_client.processing import Phase
from stock_client.settings import ClientSettings
from stock_client.stream import StreamReader, count_in
from stock_server.feed import LiveFeed, size_of
from stock_server.grpc_server import build
from stock_server.health import Health
from stock_server.service import StockService
from stock_server.settings import ServerSettings
from stockfeed.pace import Pace
from stockfeed.source import StockSource
from stockservice.stock_pb2 import StockUpdate
from stockservice.stock_pb2_grpc import StockServiceStub

from waiting import until

WINDOW_BYTES = 16_384
PADDING_BYTES = 900
"""So a window holds about 16 updates."""


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


class Switch:
    """A processing schedule that the test switches: reading at once, or reading nothing."""

    def __init__(self) -> None:
        self.stalled = False

    takes_no_time = False

    def at(self, elapsed_seconds: float) -> tuple[Phase, float]:
        return Phase("switch", None if self.stalled else lambda: 0.0), 0.01


class RecordingMetrics(ClientMetrics):
    """Keeps the updates besides."""

    def __init__(self, registry: CollectorRegistry, client: str, presence: Presence) -> None:
        super().__init__(registry, client, presence)
        self.updates: list[StockUpdate] = []

    def begin(self, update: StockUpdate) -> None:
        super().begin(update)
        self.updates.append(update)


class RecordingReader(StreamReader):
    """Keeps when and why its streams have ended."""

    ends: list[tuple[float, StreamEndedError]]

    async def read_one_stream(self, stub: StockServiceStub, lost: asyncio.Future[None] | None = None) -> None:
        try:
            await super().read_one_stream(stub, lost)
        except StreamEndedError as end:
            self.ends.append((time.monotonic(), end))
            raise


class Client:
    """The stock client without its process; a `policy` of None leaves the choice to the server."""

    def __init__(self, address: str, name: str, policy: str | None, window_bytes: int, batches: bool = False) -> None:
        self.name = name
        self._settings = ClientSettings(
            server_address=address,
            name=name,
            window_bytes=window_bytes,
            batches=batches,
            backoff_initial_seconds=0.01,
            backoff_max_seconds=0.02,
        )
        self._switch = Switch()
        self.registry = CollectorRegistry()
        self.metrics = RecordingMetrics(self.registry, name, Presence(60))
        self.interceptor = FlowControlClientInterceptor(
            name, self._settings.window, registry=self.registry, count_of=count_in
        )
        self._reading: asyncio.Task[None] | None = None
        self.reader = RecordingReader(self._switch, self.metrics, policy=policy, batches=batches)
        self.reader.ends = []

    def start(self) -> None:
        """Connect, and read for ever; what came before is not forgotten."""
        self._reading = asyncio.create_task(read_for_ever(self._settings, self.interceptor, self.reader, self.metrics))

    async def die(self) -> None:
        """Stop reading and close the connection."""
        if self._reading is None:
            return
        while not self._reading.done():
            self._reading.cancel()
            await asyncio.wait((self._reading,), timeout=0.5)
        self._reading = None

    def stall(self) -> None:
        """Read nothing from now on; a read under way may still bring one update."""
        self._switch.stalled = True

    def wake(self) -> None:
        """Read on."""
        self._switch.stalled = False

    def metric(self, name: str) -> float:
        return self.registry.get_sample_value(name, {"client": self.name}) or 0.0

    @property
    def dropped(self) -> float:
        return self.metric("stock_client_dropped_updates_total")

    @property
    def missed(self) -> float:
        return self.metric("stock_client_missed_updates_total")

    @property
    def repeated(self) -> float:
        return self.metric("stock_client_repeated_updates_total")

    def sequences(self, ticker: str) -> list[int]:
        """Return the numbers of the updates processed."""
        return [update.sequence for update in self.metrics.updates if update.ticker == ticker]

    async def caught_up(self, book: SendBook) -> None:
        """Wait until it has read all that was sent on its stream, and nothing waits for it."""

        def state() -> tuple[int, int, int, int]:
            received = [b.messages for b in self.interceptor.ledger.open_books() if b.identity == book.identity]
            return sum(received), book.messages, book.waiting, len(self.metrics.updates) - self.reader.updates

        await until(
            state, lambda s: s[0] == s[1] and s[2:] == (0, 0), what=f"{self.name}: received, sent, waiting, in work"
        )


class Opener:
    """Opens servers and clients; they end with the test."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack = stack
        self.batches = False
        """Whether the clients ask for batches."""

    async def market(self, **arguments: Any) -> Market:
        """Start a server; `arguments` are its settings, and those of `Market`."""
        market = Market(**arguments)
        await market.server.start()
        self._stack.push_async_callback(market.stop)
        return market

    def client(
        self, market: Market, policy: str | None = None, name: str = "client", window_bytes: int = WINDOW_BYTES
    ) -> Client:
        """Start a client."""
        client = Client(market.address, name, policy, window_bytes, self.batches)
        client.start()
        self._stack.push_async_callback(client.die)
        return client

    def channel(self, market: Market, window_bytes: int = WINDOW_BYTES) -> grpc.aio.Channel:
        """Return a bare channel."""
        options = [("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", window_bytes)]
        channel = grpc.aio.insecure_channel(market.address, options=options)
        self._stack.push_async_callback(channel.close)
        return channel


@pytest.fixture
async def opener() -> AsyncIterator[Opener]:
    """Open servers and clients in this process."""
    async with AsyncExitStack() as stack:
        yield Opener(stack)
