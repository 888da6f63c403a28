"""Makes the updates, where no other market does: no number twice, whoever makes the next one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, wait_random_exponential

from stock_market.metrics import MarketMetrics
from stockfeed.bounds import StreamBounds
from stockfeed.connection import FeedError, OvertakenError, StreamRefusedError
from stockfeed.jetstream import Stream, StreamState, opened
from stockfeed.pace import Pace
from stockfeed.source import StockSource
from stockservice.stock_pb2 import StockUpdate

LOOK_SECONDS = 0.5
"""So often one that stands by looks at the stream, or more often where it is to take over sooner."""

TICKERS_AT_ONCE = 50

log = structlog.get_logger()


def _may_pass(error: BaseException) -> bool:
    return isinstance(error, FeedError) and not isinstance(error, StreamRefusedError)


class Market:
    """Stores updates while no other market does, each behind the very one that it has seen last.

    The stream itself decides who is the one: it takes an update only where it stands behind the last, so of two that
    publish at once one fails, and stands by. A market that takes over goes on with the numbers in the stream.
    """

    def __init__(
        self,
        urls: str,
        stream: str,
        bounds: StreamBounds,
        pace: Pace,
        new_sources: Callable[[], Sequence[StockSource]],
        metrics: MarketMetrics,
        *,
        silence_seconds: float,
        backoff_max_seconds: float,
    ) -> None:
        self._urls = urls
        self._stream = stream
        self._bounds = bounds
        self._pace = pace
        self._new_sources = new_sources
        self._metrics = metrics
        self._silence_seconds = silence_seconds
        self._backoff_max_seconds = backoff_max_seconds
        self._connected = False
        self._problem = "it has not reached NATS yet"

    def problem(self) -> str | None:
        """Return why the market is not ready, or None where it makes updates, or stands by for who does."""
        return None if self._connected else self._problem

    async def run(self) -> None:
        """Make updates until the pace stops. Raises StreamRefusedError where NATS will not have the stream so."""
        async for attempt in AsyncRetrying(
            retry=retry_if_exception(_may_pass),
            wait=wait_random_exponential(multiplier=0.5, max=self._backoff_max_seconds),
            before_sleep=self._tell,
            reraise=True,
        ):
            with attempt:
                await self._run_once(attempt.retry_state)

    async def _run_once(self, trying: RetryCallState) -> None:
        try:
            async with opened(self._urls, self._stream, "stock-market") as stream:
                await stream.ensure(self._bounds)
                self._connected, self._problem = True, "it has lost NATS"
                trying.attempt_number = 1  # what goes wrong from here on begins the backoff anew
                log.info("market.connect.complete", stream=self._stream)
                while not self._pace.stopped:
                    state = await self._silence(stream)
                    if state is not None:
                        await self._make_updates(stream, state)
        finally:
            self._connected = False
            self._metrics.stands_by()

    async def _silence(self, stream: Stream) -> StreamState | None:
        """Return the stream's state once nobody else has stored anything for a while; None when the pace stops."""
        loop = asyncio.get_running_loop()
        state = await stream.state()
        since = loop.time()
        if state.last:
            log.info("market.standby.start", sequence=state.last)
        while state.last and loop.time() - since < self._silence_seconds:
            if await self._pace.stopped_within(min(LOOK_SECONDS, self._silence_seconds / 4)):
                return None
            before, state = state, await stream.state()
            if (state.last, state.source_id) != (before.last, before.source_id):
                since = loop.time()
                self._metrics.has_seen(state.last)
        return state

    async def _make_updates(self, stream: Stream, state: StreamState) -> None:
        """Store updates until the pace stops, or another market has stored one."""
        sources = await self._take_up(stream, state)
        self._metrics.is_active()
        log.info("market.active.start", sequence=state.last, tickers=len(sources))
        last = state.last
        try:
            async for _ in self._pace.beats():
                updates = [source.next() for source in sources]
                batch = [(each.ticker, each.sequence, each.SerializeToString()) for each in updates]
                last = await stream.publish(batch, after=last)
                self._metrics.has_stored(len(batch), last)
                await asyncio.sleep(0)  # at an interval of 0 nothing else would get a turn
        except OvertakenError:
            self._metrics.was_overtaken()
            log.warning("market.overtaken", sequence=last)
        finally:
            self._metrics.stands_by()

    async def _take_up(self, stream: Stream, state: StreamState) -> Sequence[StockSource]:
        """Return sources that go on behind the newest updates in the stream.

        What the stream has forgotten had a number below that of its newest message, whatever ticker it was of.
        """
        sources = self._new_sources()
        for begin in range(0, len(sources) if state.last else 0, TICKERS_AT_ONCE):
            some = sources[begin : begin + TICKERS_AT_ONCE]
            newest = await asyncio.gather(*(stream.newest_of(source.ticker) for source in some))
            for source, data in zip(some, newest, strict=True):
                if data is None:
                    source.go_on(state.last)
                else:
                    update = StockUpdate.FromString(data)
                    source.go_on(update.sequence, update.price)
        return sources

    def _tell(self, trying: RetryCallState) -> None:
        """Log the first failure, and each that tells something new."""
        failure = trying.outcome.exception() if trying.outcome else None
        self._metrics.has_failed()
        if str(failure) != self._problem:
            self._problem = str(failure)
            log.warning("market.feed.failed", reason=self._problem, setting="--feed (STOCK_MARKET_FEED)")
