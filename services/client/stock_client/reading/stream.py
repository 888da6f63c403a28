"""One stream: open it, read and process its updates until it ends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any, NoReturn

import grpc
import structlog

from stock_client.ending import StreamEndedError
from stock_client.metrics.client import ClientMetrics, made_at
from stock_client.reading.processing import Processing
from stock_client.reading.resume import Resume
from stock_client.reading.sequence import SequenceTracker
from stock_client.reading.update_log import UpdateLog
from stockservice.stock_pb2 import EmptyRequest, StockUpdate, StockUpdateBatch
from stockservice.stock_pb2_grpc import StockServiceStub

SOURCE_KEY = "stock-source"
"""Initial metadata in which the server names the source of the updates."""

POLICY_KEY = "stock-policy"
"""Request metadata: the policy wanted when too slow. Initial metadata: the policy given."""

POLICIES_THAT_DROP = ("replay", "conflate", "drop-oldest", "disconnect")
"""Under these a missing number is explained: the server has left the update out, or its log has it no more."""

log = structlog.get_logger()


def updates_in(message: StockUpdate | StockUpdateBatch) -> Sequence[StockUpdate]:
    """Return the updates that a message holds: one, or those of a batch."""
    return message.updates if isinstance(message, StockUpdateBatch) else (message,)


def count_in(message: StockUpdate | StockUpdateBatch) -> int:
    """Return how many updates a message holds."""
    return len(updates_in(message))


class StreamReader:
    """Reads one stream after another, and knows what came between them."""

    def __init__(
        self,
        processing: Processing,
        metrics: ClientMetrics,
        *,
        policy: str | None = None,
        batches: bool = False,
        update_log: UpdateLog | None = None,
        max_tickers: int = 10_000,
    ) -> None:
        self._wanted = () if policy is None else ((POLICY_KEY, policy),)
        self._batches = batches
        self._drops = False
        self._processing = processing
        self._at_once = processing.takes_no_time
        self._metrics = metrics
        self._update_log = update_log
        self._sequences = SequenceTracker(max_tickers)
        self._resume = Resume(self._sequences)
        self._started_at = time.monotonic()
        self._last: StockUpdate | None = None
        self._told_unnumbered = False
        self._told_unfollowed = False
        self._told_without_batches = False
        self.updates = 0
        """Updates read so far, of all streams."""

    async def read_one_stream(self, stub: StockServiceStub, lost: asyncio.Future[None] | None = None) -> None:
        """Read a stream until it ends. Always raises: StreamEndedError with the status, or CancelledError.

        `lost` is done once its connection has gone: grpc tells that to a reader behind all that lies there to be read,
        and so never to one that reads nothing.
        """
        lost = asyncio.get_running_loop().create_future() if lost is None else lost
        if self._batches:
            try:
                await self._read(stub.GetUpdateBatches, lost)
            except StreamEndedError as end:
                if end.code != grpc.StatusCode.UNIMPLEMENTED.name:
                    raise
            if not self._told_without_batches:
                log.warning("stream.without_batches", consequence="this server has none: each update comes alone")
                self._told_without_batches = True
        await self._read(stub.GetUpdates, lost)

    async def _read(self, method: Any, lost: asyncio.Future[None]) -> NoReturn:
        resuming = self._resume.metadata()
        call: Any = method(EmptyRequest(), metadata=(*self._wanted, *resuming))
        ended = asyncio.get_running_loop().create_future()

        def end(_: object) -> None:
            self._metrics.presence.end()
            ended.set_result(None)

        call.add_done_callback(end)  # also while nobody reads
        try:
            given = await call.initial_metadata() or {}
            if given:
                self._metrics.presence.begin()  # a refusal has none
                self._resume.note_given(given)
            first, goes_on = True, False
            while True:
                if not self._at_once:
                    await self._wait_while_stopped(ended, lost)
                message = await call.read()
                if message is grpc.aio.EOF:
                    raise StreamEndedError(await call.code(), await call.details())
                if message is None:  # so grpc says that it could not deserialise it
                    raise StreamEndedError(grpc.StatusCode.INTERNAL, "an update that cannot be decoded")
                updates = updates_in(message)
                if first and updates:
                    self._metrics.presence.begin()
                    goes_on = self._sequences.begin_stream(given.get(SOURCE_KEY))
                    self._drops = self._resume.source_keeps = given.get(POLICY_KEY) in POLICIES_THAT_DROP
                    self._note_numbering(updates[0])
                    self._report_gap(updates[0], goes_on)
                    first = False
                self._metrics.read(len(updates))
                if self._at_once:
                    self._process_at_once(updates)
                    continue
                for number, update in enumerate(updates):
                    if number:
                        await self._wait_while_stopped(ended, lost)
                    await self._process(update)
        except grpc.aio.AioRpcError as error:
            if resuming:
                self._resume.note_refused(error)
            raise StreamEndedError.by_error(error) from error
        finally:
            self._metrics.read(0)
            call.cancel()

    async def _wait_while_stopped(self, ended: asyncio.Future[None], lost: asyncio.Future[None]) -> None:
        """Wait until updates are to be read, or the stream has ended. Raises StreamEndedError: its connection has."""
        while not ended.done():
            phase, remaining = self._processing.at(time.monotonic() - self._started_at)
            if phase.draw_seconds is not None:
                return
            if lost.done():
                raise StreamEndedError(grpc.StatusCode.UNAVAILABLE, "the connection has gone while nothing was read")
            await asyncio.wait((ended, lost), timeout=min(remaining, 3600.0), return_when=asyncio.FIRST_COMPLETED)

    async def _process(self, update: StockUpdate) -> None:
        self.updates += 1
        self._last = update
        self._check_sequence(update)
        self._metrics.begin(update)
        phase, _ = self._processing.at(time.monotonic() - self._started_at)
        seconds = phase.draw_seconds() if phase.draw_seconds else 0.0
        if seconds > 0:
            await asyncio.sleep(seconds)
        age = self._metrics.complete(update, time.time())
        if self._update_log is not None:
            self._update_log.note(update, age)

    def _process_at_once(self, updates: Sequence[StockUpdate]) -> None:
        """Process what takes no time, without a turn of the event loop for each."""
        metrics, sequences, update_log, now = self._metrics, self._sequences, self._update_log, time.time()
        age = oldest = 0.0
        lines = update_log is not None and not update_log.sums_up
        for update in updates:
            if not sequences.is_next(update.ticker, update.sequence):
                self._check_sequence(update)
            age = metrics.complete(update, now)
            if age > oldest:
                oldest = age
            if lines and update_log is not None:
                update_log.note(update, age)
        if updates:
            self.updates += len(updates)
            self._last = updates[-1]
            if update_log is not None and not lines:
                update_log.note(updates[-1], oldest, len(updates))

    def _note_numbering(self, update: StockUpdate) -> None:
        numbered = update.sequence > 0
        self._metrics.know_by_numbers(numbered)
        if not numbered and not self._told_unnumbered:
            log.warning("stream.unnumbered", consequence="whether updates are missed cannot be known")
            self._told_unnumbered = True

    def _check_sequence(self, update: StockUpdate) -> None:
        if not self._sequences.follows(update.ticker):
            self._metrics.unfollowed.inc()
            if not self._told_unfollowed:
                log.warning("stream.unfollowed", consequence="of so many tickers not all are followed (--max-tickers)")
                self._told_unfollowed = True
            return
        skipped = self._sequences.skipped_before(update.ticker, update.sequence)
        if skipped > 0 and self._drops:
            self._metrics.dropped.inc(skipped)
            log.debug("update.dropped", ticker=update.ticker, dropped=skipped, before_sequence=update.sequence)
        elif skipped > 0:
            self._metrics.missed.inc(skipped)
            log.warning("update.missed", ticker=update.ticker, missed=skipped, before_sequence=update.sequence)
        elif skipped < 0:
            self._metrics.repeated.inc()
            log.warning("update.repeated", ticker=update.ticker, sequence=update.sequence)

    def _report_gap(self, update: StockUpdate, goes_on: bool) -> None:
        before, self._last = self._last, update
        if before is None:
            log.info("stream.open.complete", sequence=update.sequence)
            return
        gap = max(0.0, (made_at(update) or 0.0) - (made_at(before) or 0.0))
        self._metrics.gap_seconds.inc(gap)
        log.warning(
            "stream.resume.complete",
            last_sequence=before.sequence,
            first_sequence=update.sequence,
            same_source=goes_on,
            gap_seconds=round(gap, 3),
        )
