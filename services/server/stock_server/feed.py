"""The live feed: one source per ticker for all streams, each update made once, and serialised once."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import structlog
from prometheus_client import Counter

from flowcontrol import SharedMessage, StreamBuffer
from stock_server.pace import Pace
from stock_server.source import StockSource

BUFFERS_A_TURN = 200
"""So many are filled before others get a turn of the event loop: half a millisecond."""

FAULTS = Counter(
    "stock_server_feed_faults", "Updates that could not be made, or not be kept for a stream.", registry=None
)

log = structlog.get_logger()


class LiveFeed:
    """Puts every update into the buffers of all streams that are subscribed. It waits for none of them.

    It begins with its first subscriber and goes on until the pace stops, whoever listens: a market does not wait. A
    fault ends neither it nor more than the stream it is of. A source that fails is asked again at the next beat; the
    log says when it begins to fail, and when it works again.
    """

    def __init__(self, sources: Sequence[StockSource], pace: Pace) -> None:
        self.source_id = uuid.uuid4().hex
        self._sources = sources
        self._pace = pace
        self._buffers: dict[StreamBuffer[SharedMessage], Callable[[], None]] = {}
        self._failing: set[str] = set()
        self._task: asyncio.Task[None] | None = None

    @contextmanager
    def subscribed(
        self, buffer: StreamBuffer[SharedMessage], on_fault: Callable[[], None] = lambda: None
    ) -> Iterator[None]:
        """Feed a buffer while the context lasts; call `on_fault`, once, where it cannot be fed any more."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())
        self._buffers[buffer] = on_fault
        if self._task.done():
            buffer.close()  # the pace has stopped while the stream was still to begin
        try:
            yield
        finally:
            self._buffers.pop(buffer, None)
            buffer.close()

    async def _run(self) -> None:
        async for _ in self._pace.beats():
            for source in self._sources:
                message = self._made_by(source)
                if message is not None:
                    await self._hand_out(source.ticker, message)
            await asyncio.sleep(0)  # at an interval of 0 nothing else would get a turn
        for buffer in self._buffers:
            buffer.close()

    def _made_by(self, source: StockSource) -> SharedMessage | None:
        try:
            message = SharedMessage(source.next())
        except Exception:
            FAULTS.inc()
            if source.ticker not in self._failing:
                self._failing.add(source.ticker)
                log.exception("feed.source.failed", ticker=source.ticker)
            return None
        if source.ticker in self._failing:
            self._failing.remove(source.ticker)
            log.warning("feed.source.recovered", ticker=source.ticker)
        return message

    async def _hand_out(self, ticker: str, message: SharedMessage) -> None:
        buffers = tuple(self._buffers)
        for begin in range(0, len(buffers), BUFFERS_A_TURN):
            for buffer in buffers[begin : begin + BUFFERS_A_TURN]:
                try:
                    buffer.put(ticker, message)
                except Exception:
                    FAULTS.inc()
                    log.exception("feed.stream.failed", ticker=ticker)
                    self._give_up(buffer)
            await asyncio.sleep(0)

    def _give_up(self, buffer: StreamBuffer[SharedMessage]) -> None:
        on_fault = self._buffers.pop(buffer, None)
        if on_fault is not None:
            on_fault()
