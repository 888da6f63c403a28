"""A handler's context whose writes are measured, and which can end a stream in the middle of a write."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import grpc

from flowcontrol.book import SendBook
from flowcontrol.window import wire_bytes

TrailingMetadata = tuple[tuple[str, str | bytes], ...]


class MeasuredContext:
    """A `grpc.aio.ServicerContext` whose writes are measured; all else is the original's.

    Made in the handler's task.
    """

    def __init__(
        self, context: Any, book: SendBook, serialize: Callable[[Any], bytes], clock: Callable[[], float]
    ) -> None:
        self._context = context
        self._serialize = serialize
        self._clock = clock
        self._task = asyncio.current_task()
        self._cut: tuple[grpc.StatusCode, str, TrailingMetadata] | None = None
        self.book = book
        """The running numbers of this stream."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    async def write(self, message: Any) -> None:
        """Send a message; returns once the transport has accepted it, which flow control may delay without end."""
        data = message if isinstance(message, bytes) else self._serialize(message)
        book = self.book
        if book.buffer is None:
            book.produced += 1
        book.in_write = 1
        book.writing.start(self._clock())
        try:
            await self._context.write(data)
        except asyncio.CancelledError:
            if self._cut is not None:
                # the transport has the message already, and will send it before the status
                book.in_write = 0
                book.add(wire_bytes(len(data)))
            raise
        finally:
            book.writing.stop(self._clock())
        book.in_write = 0
        book.add(wire_bytes(len(data)))

    def cut(self, code: grpc.StatusCode, details: str, trailing_metadata: TrailingMetadata = ()) -> None:
        """End the stream with a status, also while a write is blocked. The client gets it behind what is in flight.

        Only the first call counts.
        """
        if self._cut is not None:
            return
        self._cut = (code, details, trailing_metadata)
        if self._task is not None:
            self._task.cancel()

    async def end_if_cut(self) -> None:
        """Send the status that `cut` was called with, if it was; returns when the client has it or is gone."""
        if self._cut is not None and self._task is not None and self._task.uncancel() == 0:
            await self._context.abort(*self._cut)
