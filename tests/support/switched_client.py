"""A stock client in this process that stalls and wakes when the test says so."""

from __future__ import annotations

import asyncio
import time

from prometheus_client import CollectorRegistry

from flowcontrol import FlowControlClientInterceptor, SendBook
from stock_client.connection import read_for_ever
from stock_client.ending import StreamEndedError
from stock_client.metrics.client import ClientMetrics
from stock_client.metrics.presence import Presence
from stock_client.reading.processing import Phase
from stock_client.reading.stream import StreamReader, count_in
from stock_client.settings import ClientSettings
from stockservice.stock_pb2 import StockUpdate
from stockservice.stock_pb2_grpc import StockServiceStub

from waiting import until


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
