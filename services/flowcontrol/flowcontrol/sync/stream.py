"""What a synchronous handler may know of its own stream, and how it can be ended from outside of the handler."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any
from weakref import ref

import grpc

from flowcontrol.books.book import SendBook
from flowcontrol.server.stream import TrailingMetadata
from flowcontrol.sync.meter import LockedSendMeter

_current: ContextVar[ref[MeasuredStream]] = ContextVar("flowcontrol-sync-stream")
"""Weak, for a thread that a handler starts may have the variable for as long as it lives."""


class MeasuredStream:
    """The stream that a synchronous handler answers; the handler gets it by `current_stream`."""

    __slots__ = (
        "__weakref__",
        "_context",
        "_ended",
        "_in_write",
        "_lock",
        "_status",
        "_trailing_metadata",
        "meter",
        "on_end",
    )

    def __init__(self, context: Any, meter: LockedSendMeter) -> None:
        _current.set(ref(self))
        self.meter = meter
        self.on_end: Callable[[], None] | None = None
        """What to do when the handler has ended."""
        self._context = context
        self._lock = threading.Lock()
        self._status: tuple[grpc.StatusCode, str] | None = None
        self._trailing_metadata: TrailingMetadata = ()
        self._ended = False
        self._in_write = 1

    @property
    def book(self) -> SendBook:
        """The running numbers of this stream."""
        return self.meter.book

    @property
    def is_cut(self) -> bool:
        """Whether `cut` has been called."""
        return self._status is not None

    def cut(self, code: grpc.StatusCode, details: str, trailing_metadata: TrailingMetadata = ()) -> None:
        """End the stream, from any thread. Only the first call counts, and none once the handler has ended.

        A handler at work goes on to its next message, which is not sent; then the client gets the status. A write that
        is under way is given up, and its thread is free at once: grpc has no way to send a status behind it, so the
        client gets CANCELLED, behind what is in flight.
        """
        with self._lock:
            if self._status is not None or self._ended:
                return
            self._trailing_metadata = trailing_metadata
            self._status = (code, details)
            in_write = self.meter.in_write
        if in_write:
            self._context.cancel()

    def end_if_cut(self) -> None:
        """Raise what an abort raises, where the stream has been cut."""
        if self._status is not None:
            if self._trailing_metadata:
                self._context.set_trailing_metadata(self._trailing_metadata)
            self._context.abort(*self._status)

    def begin_write(self, size: int | None, count: int) -> bool:
        """Note that so many messages are handed to grpc; False: the stream has been cut, so they are not to be."""
        with self._lock:
            if self._status is None:
                self._in_write = count
                self.meter.begin(size, count)
                return True
        self.meter.drop(count)
        return False

    def end_write(self) -> None:
        """Note that grpc has returned from a write: the transport has the message, unless the stream was cut in it."""
        if self._status is None:
            self.meter.accepted(self._in_write)
        else:
            self.meter.failed(grpc.RpcError(), self._in_write)

    def end(self) -> None:
        """Take in that the handler has ended: there is nothing to be cut any more."""
        with self._lock:
            self._ended = True
            on_end, self.on_end = self.on_end, None
        if on_end is not None:
            on_end()


def current_stream() -> MeasuredStream:
    """Return the stream that the handler from which this is called answers. Raises LookupError: it is not measured."""
    current = _current.get(None)
    stream = None if current is None else current()
    if stream is None:
        raise LookupError("no measured stream here: is there a flowcontrol.sync.FlowControlServerInterceptor?")
    return stream
