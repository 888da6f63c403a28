"""A handler's context whose reads and writes are measured."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc

from flowcontrol.books.reads import measured_read
from flowcontrol.books.receive_meter import ReceiveMeter
from flowcontrol.compression import compresses
from flowcontrol.server.serializer import count_of, raw_size
from flowcontrol.server.stream import MeasuredStream


class _Context:
    """A `grpc.aio.ServicerContext`, or what another interceptor gives for one; what is not here is the original's."""

    __slots__ = ("_flowcontrol_context",)

    _flowcontrol_context: Any

    def __init__(self, context: Any) -> None:
        object.__setattr__(self, "_flowcontrol_context", context)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._flowcontrol_context, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._flowcontrol_context, name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self._flowcontrol_context, name)

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        """Register a callback for the end of the call; it is given this context in place of the original."""
        context = self._flowcontrol_context
        context.add_done_callback(lambda given: callback(self if given is context else given))


class ReadContext(_Context):
    """A context whose reads are measured."""

    __slots__ = ("_flowcontrol_reading",)

    _flowcontrol_reading: ReceiveMeter

    def __init__(self, context: Any, reading: ReceiveMeter) -> None:
        super().__init__(context)
        object.__setattr__(self, "_flowcontrol_reading", reading)

    async def read(self) -> Any:
        """Return the next request, or `grpc.aio.EOF`."""
        return await measured_read(self._flowcontrol_context.read, self._flowcontrol_reading)


class MeasuredContext(_Context):
    """A context whose writes are measured."""

    __slots__ = ("_flowcontrol_raw", "_flowcontrol_stream")

    _flowcontrol_raw: bool
    _flowcontrol_stream: MeasuredStream

    def __init__(self, context: Any, stream: MeasuredStream, raw: bool) -> None:
        super().__init__(context)
        object.__setattr__(self, "_flowcontrol_stream", stream)
        object.__setattr__(self, "_flowcontrol_raw", raw)

    async def write(self, message: Any) -> None:
        """Send a message; returns once the transport has accepted it, which flow control may delay without end."""
        meter, count = self._flowcontrol_stream.meter, count_of(message)
        meter.begin(raw_size(message) if self._flowcontrol_raw else None, count)
        try:
            await self._flowcontrol_context.write(message)
        except BaseException as error:
            meter.failed(error, count)
            raise
        meter.accepted(count)

    async def send_initial_metadata(self, metadata: Any) -> None:
        """Send initial metadata before the first message."""
        await self._flowcontrol_context.send_initial_metadata(metadata)
        self._flowcontrol_stream.note_metadata_sent()

    def set_compression(self, compression: grpc.Compression) -> None:
        """Compress the messages of this stream, which makes their bytes on the wire unknown."""
        self._flowcontrol_context.set_compression(compression)
        self._flowcontrol_stream.book.compressed = compresses(compression)
