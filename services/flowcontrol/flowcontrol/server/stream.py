"""What a handler may know of its own stream, and how it can be ended from outside of the handler."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextvars import ContextVar, copy_context
from typing import Any
from weakref import ref

import grpc

from flowcontrol.books.book import ReceiveBook, SendBook
from flowcontrol.books.receive_meter import ReceiveMeter
from flowcontrol.books.send_meter import SendMeter

TrailingMetadata = tuple[tuple[str, str | bytes], ...]

_current: ContextVar[ref[MeasuredStream]] = ContextVar("flowcontrol-stream")
"""Weak, for a task that a handler starts has the variable for as long as it lives."""


class MeasuredStream:
    """The stream that a handler answers; the handler gets it by `current_stream`."""

    __slots__ = (
        "__weakref__",
        "_cancelled",
        "_closing",
        "_context",
        "_ended",
        "_ends",
        "_keep",
        "_loop",
        "_metadata_sent",
        "_status",
        "_variables",
        "generator",
        "is_cut",
        "meter",
        "on_end",
        "reading",
        "runner",
    )

    def __init__(self, context: Any, meter: SendMeter, keep: Callable[[asyncio.Task[Any]], None]) -> None:
        _current.set(ref(self))
        self.meter = meter
        self.is_cut = False
        """Whether `cut` has been called."""
        self.reading: ReceiveMeter | None = None
        """Measures the requests; None where there is only one."""
        self.generator: AsyncGenerator[Any, Any] | None = None
        """The handler, if it is an async generator."""
        self.runner: asyncio.Task[Any] | None = asyncio.current_task()
        """The task in which the handler runs; None while a message that it has yielded is written."""
        self.on_end: Callable[[], None] | None = None
        """What to do when the handler has ended."""
        self._context = context
        self._keep = keep
        self._loop = asyncio.get_running_loop()
        self._variables = copy_context()
        self._metadata_sent = False
        self._status: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None
        self._cancelled: asyncio.Task[Any] | None = None
        self._ends = self._ended = False

    @property
    def book(self) -> SendBook:
        """The running numbers of this stream."""
        return self.meter.book

    @property
    def received(self) -> ReceiveBook | None:
        """The running numbers of its requests; None where there is only one."""
        return None if self.reading is None else self.reading.book

    def cut(self, code: grpc.StatusCode, details: str, trailing_metadata: TrailingMetadata = ()) -> None:
        """End the stream with a status, also while a write is blocked. The client gets it behind what is in flight.

        The handler is cancelled where it waits, and closed where it has yielded. Whatever it does then, this is the
        stream's status. Only the first call counts, and none once the handler has ended.
        """
        if self._ended or self.is_cut:
            return
        self.is_cut = True
        self.meter.rest()
        self._status = self._loop.create_task(
            self._send_status(code, details, trailing_metadata), context=self._variables
        )
        self._status.add_done_callback(lambda task: task.cancelled() or task.exception())  # some are awaited by nobody
        self._keep(self._status)
        if not self._close_if_yielded() and not self._in_first_write:
            self._cancel()

    async def _send_status(self, code: grpc.StatusCode, details: str, trailing_metadata: TrailingMetadata) -> None:
        if self._in_first_write:
            # grpc would send the initial metadata, which go with this write, once more with the status, and fail
            await self.meter.first_write()
        if self._cancelled is None and self._closing is None:
            self._cancel()  # it was in its first write when it was cut: that may have ended before this began, too
        if not self._ended:
            await self._context.abort(code, details, *([trailing_metadata] if trailing_metadata else []))

    @property
    def _in_first_write(self) -> bool:
        return not self._metadata_sent and self.meter.in_first_write

    def _cancel(self) -> None:
        if self.runner is not None and not self._ends:
            self._cancelled = self.runner
            self.runner.cancel()

    def note_metadata_sent(self) -> None:
        """Take in that the initial metadata have been sent."""
        self._metadata_sent = True

    def end(self) -> None:
        """Take in that the handler has ended: there is nothing to be cut any more."""
        self._ended = True
        on_end, self.on_end = self.on_end, None
        if on_end is not None:
            on_end()

    def end_call(self) -> None:
        """Take in that the call has ended, and close a handler that has yielded: nobody will ask it for more."""
        self._close_if_yielded()
        self._ended = True
        if self._status is not None and self._status.done() and not self._status.cancelled():
            # grpc keeps this until another call comes, and with it all frames that it has come through
            error = self._status.exception()
            if error is not None:
                error.__traceback__ = error.__context__ = None

    async def end_if_cut(self, failure: BaseException | None = None) -> None:
        """Wait until the client has the status of a cut, or is gone; then raise grpc's AbortError, as an abort does.

        Returns where the stream has not been cut, and where the handler has ended otherwise: by `failure`, which is to
        be raised on.
        """
        self._ends = True
        if self._status is None:
            return
        task, self._cancelled = self._cancelled, None
        if task is not None and task.uncancel() > 0:
            raise asyncio.CancelledError  # by somebody else, too
        try:
            await self._settled(self._status, task)
        except grpc.aio.UsageError:
            pass  # the handler has aborted by itself
        except Exception:  # grpc's AbortError, or its error where the client is gone
            if failure is None or isinstance(failure, asyncio.CancelledError):
                raise

    async def closed(self) -> None:
        """Close the handler, an async generator, or wait until it is closed."""
        task = asyncio.current_task()
        if self._closing is None and self.generator is not None and task is not None:
            self._closing = task
            self._keep(task)
            await self.generator.aclose()
        elif self._closing is not None and self._closing is not task:
            await asyncio.shield(self._closing)

    def _close_if_yielded(self) -> bool:
        if self.runner is not None or self.generator is None or self._ended:
            return False
        if self._closing is None:
            self._closing = self._loop.create_task(_closed(self.generator), context=self._variables)
            self._keep(self._closing)
        return True

    async def _settled(self, status: asyncio.Task[None], cancelled: asyncio.Task[Any] | None) -> None:
        try:
            await asyncio.shield(status)
        except asyncio.CancelledError:
            if cancelled is None or cancelled.cancelling():
                raise
            await asyncio.shield(status)  # this was our own, come late


async def _closed(generator: AsyncGenerator[Any, Any]) -> None:
    await generator.aclose()


def current_stream() -> MeasuredStream:
    """Return the stream that the handler from which this is called answers. Raises LookupError: it is not measured."""
    current = _current.get(None)
    stream = None if current is None else current()
    if stream is None:
        raise LookupError("no measured stream here: is there a FlowControlServerInterceptor, and is the handler async?")
    return stream
