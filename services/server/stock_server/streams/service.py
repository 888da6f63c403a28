"""The stock service: a loop that yields updates. What it costs and whom it waits for is measured around it."""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, closing
from dataclasses import dataclass
from typing import Any, TypeAlias

import grpc
import structlog
from prometheus_client import CollectorRegistry

from flowcontrol import (
    Batch,
    BatchLimit,
    Entries,
    Gathering,
    LogReader,
    MeasuredStream,
    SharedMessage,
    current_stream,
    wire_bytes,
)
from stock_server.streams.admission import Admission, StreamLimits, StreamRefusedError
from stock_server.streams.feed import FAULTS, LiveFeed
from stock_server.streams.policy import POLICY_KEY, Policy, PolicyRefusedError, choose
from stock_server.streams.reading import ReadLimits, reader_for
from stock_server.streams.resume import LOST_KEY, ResumeRefusedError, Resumes
from stockfeed.pace import Pace
from stockfeed.source import StockSource
from stockservice.stock_pb2 import EmptyRequest, StockUpdate, StockUpdateBatch
from stockservice.stock_pb2_grpc import StockServiceServicer

Context: TypeAlias = "grpc.aio.ServicerContext[EmptyRequest, Any]"
Metadata: TypeAlias = "Iterable[tuple[str, str | bytes]] | None"

SOURCE_KEY = "stock-source"
"""Initial metadata: names the source, so that a client knows which sequence numbers go together."""

SERVICE_NAME = "stockservice.StockService"
METHODS = (f"{SERVICE_NAME}/GetUpdates", f"{SERVICE_NAME}/GetUpdateBatches")
"""Both carry the same updates."""

ENTRIES = Entries(StockUpdateBatch.UPDATES_FIELD_NUMBER)
LARGEST_HEAD_BYTES = 5
"""What stands before an update in a batch: a tag, and the length of up to 4 MiB."""

FAULT = (grpc.StatusCode.INTERNAL, "a fault of the server has ended this stream; its log tells which")

log = structlog.get_logger()


@dataclass(frozen=True)
class Limits(ReadLimits, StreamLimits):
    """What streams may have, and how many there may be."""

    policy: Policy = Policy.PAUSE
    allowed_policies: frozenset[Policy] = frozenset(Policy)


@dataclass(slots=True)
class _Opened:
    """A stream that has been admitted."""

    policy: Policy
    stream: MeasuredStream
    source_id: str
    reader: LogReader[SharedMessage] | None = None
    """Of a stream that goes on where its client had stopped."""

    @property
    def paused(self) -> bool:
        """Whether it has sources of its own, which wait for it."""
        return self.policy is Policy.PAUSE

    @property
    def initial_metadata(self) -> tuple[tuple[str, str], ...]:
        """What its client is told."""
        told = ((SOURCE_KEY, self.source_id), (POLICY_KEY, self.policy.value))
        return told if self.reader is None else (*told, (LOST_KEY, str(self.reader.lost_at_start)))


class StockService(StockServiceServicer):
    """Streams updates: each stream from sources of its own that wait for it, or from the log of the live feed."""

    def __init__(
        self,
        pace: Pace,
        feed: LiveFeed,
        new_sources: Callable[[], Sequence[StockSource]],
        limits: Limits,
        registry: CollectorRegistry | None = None,
    ) -> None:
        self._pace = pace
        self._feed = feed
        self._new_sources = new_sources
        self._limits = limits
        self._admission = Admission(limits, registry)
        self._resumes = Resumes(registry)

    @property
    def streams(self) -> int:
        """Streams open now: what the limit counts."""
        return self._admission.streams

    async def GetUpdates(self, request: EmptyRequest, context: Context) -> AsyncIterator[StockUpdate | SharedMessage]:
        """Yield updates until the client cancels, or the server drains: then end with UNAVAILABLE."""
        async with self._opened(context) as opened:
            updates = self._paused() if opened.paused else self._live(opened)
            async with aclosing(updates) as each:
                async for update in each:
                    yield update

    async def GetUpdateBatches(self, request: EmptyRequest, context: Context) -> AsyncIterator[Batch]:
        """Yield the same updates, several at once where several wait for their turn."""
        async with self._opened(context) as opened:
            limit = BatchLimit.for_window(opened.stream.book.identity.window)
            updates = self._paused_batches(limit) if opened.paused else self._live_batches(opened, limit)
            async with aclosing(updates) as batches:
                async for batch in batches:
                    yield batch

    @asynccontextmanager
    async def _opened(self, context: Context) -> AsyncIterator[_Opened]:
        """Admit a stream, tell the client what it gets, and end it with the right status."""
        opened: _Opened | None = None
        try:
            self._admission.admit(context)
            opened = self._open(context.invocation_metadata(), current_stream())
            await context.send_initial_metadata(opened.initial_metadata)
            yield opened
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the server is shutting down")
        except (PolicyRefusedError, ResumeRefusedError, StreamRefusedError) as refused:
            await context.abort(refused.code, refused.details)
        except (grpc.aio.AbortError, grpc.aio.InternalError):
            raise  # the client has been told, or it has gone and grpc can tell it nothing more
        except Exception:
            if opened is not None and not opened.paused:
                FAULTS.inc()
            log.exception("stream.failed", client=current_stream().book.client)
            await context.abort(*FAULT)
        finally:
            self._admission.leave(context)

    def _open(self, metadata: Metadata, stream: MeasuredStream) -> _Opened:
        policy = choose(metadata, self._limits.policy, self._limits.allowed_policies)
        stream.book.policy = policy
        if policy is Policy.PAUSE:
            return _Opened(policy, stream, uuid.uuid4().hex)
        opened = _Opened(policy, stream, self._feed.source_id)
        stopped = self._resumes.where_stopped(metadata, self._feed.source_id)
        if stopped is not None:
            opened.reader = self._reader(opened, stopped)
            self._resumes.note(stream.book.client, opened.reader.lost_at_start)
        return opened

    async def _paused(self) -> AsyncGenerator[StockUpdate]:
        sources = self._new_sources()
        await self._pace.initial_delay()
        async for _ in self._pace.beats():
            for source in sources:
                yield source.next()

    async def _paused_batches(self, limit: BatchLimit) -> AsyncGenerator[Batch]:
        """Yield what is due when a batch can go: while a write is blocked, nothing is made."""
        sources, pace, gathering = self._new_sources(), self._pace, Gathering(limit)
        await pace.initial_delay()
        async for beats in pace.beats(max(1, limit.most_messages // len(sources))):
            for _ in range(beats):
                for source in sources:
                    before = gathering.add(ENTRIES.entry(source.next().SerializeToString()))
                    if before is not None:
                        yield before
                    if gathering.full:
                        yield gathering.take()
            if len(gathering) and not pace.goes_on:
                yield gathering.take()

    async def _live_batches(self, opened: _Opened, limit: BatchLimit) -> AsyncGenerator[Batch]:
        """Yield what waits when a batch can go."""
        most_bytes = limit.most_bytes - wire_bytes(0)
        async with self._reading(opened) as reader:
            while await reader.ready():
                taken = reader.take_many(limit.most_messages, most_bytes, LARGEST_HEAD_BYTES)
                entries = [update.entry(ENTRIES, StockUpdate.SerializeToString) for update in taken]
                if entries:
                    yield Batch(len(entries), b"".join(entries))

    async def _live(self, opened: _Opened) -> AsyncGenerator[SharedMessage]:
        async with self._reading(opened) as reader:
            async for message in reader:
                yield message

    @asynccontextmanager
    async def _reading(self, opened: _Opened) -> AsyncIterator[LogReader[SharedMessage]]:
        await self._pace.initial_delay()
        self._feed.begin()
        with closing(opened.reader or self._reader(opened)) as reader:
            yield reader

    def _reader(self, opened: _Opened, stopped: Mapping[str, int] | None = None) -> LogReader[SharedMessage]:
        return reader_for(opened.policy, self._feed.updates, opened.stream, self._limits, stopped)
