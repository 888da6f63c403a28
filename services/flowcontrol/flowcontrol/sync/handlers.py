"""Measure a synchronous handler, which grpc asks for each message in a thread of the server's pool.

Between two of these asks the thread is in the write: `_send_response` in grpc/_server.py waits until the transport has
accepted the message (grpcio 1.85). So a message has been sent once the next one is asked for.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import grpc

from flowcontrol.compression import compresses
from flowcontrol.server.serializer import count_of, raw_size
from flowcontrol.sync.proxy import Proxy
from flowcontrol.sync.stream import MeasuredStream

Begin: TypeAlias = Callable[[Any], MeasuredStream]
"""Returns the stream of a call, from its context."""


class MeasuredContext(Proxy):
    """A `grpc.ServicerContext`, or what another interceptor gives for one."""

    __slots__ = ("_flowcontrol_stream",)

    _flowcontrol_stream: MeasuredStream

    def __init__(self, context: Any, stream: MeasuredStream) -> None:
        super().__init__(context)
        object.__setattr__(self, "_flowcontrol_stream", stream)

    def set_compression(self, compression: grpc.Compression) -> None:
        """Compress the messages of this stream, which makes their bytes on the wire unknown."""
        self._flowcontrol_original.set_compression(compression)
        self._flowcontrol_stream.book.compressed = compresses(compression)


class MeasuredMessages(Proxy):
    """The iterator that a handler has returned."""

    __slots__ = ("_flowcontrol_raw", "_flowcontrol_stream")

    _flowcontrol_raw: bool
    _flowcontrol_stream: MeasuredStream

    def __init__(self, messages: Any, stream: MeasuredStream, raw: bool) -> None:
        super().__init__(messages)
        object.__setattr__(self, "_flowcontrol_stream", stream)
        object.__setattr__(self, "_flowcontrol_raw", raw)

    def __iter__(self) -> Iterator[Any]:
        # grpc takes nothing but an iterator, a neighbour who iterates also a list
        object.__setattr__(self, "_flowcontrol_original", iter(self._flowcontrol_original))
        return self

    def __next__(self) -> Any:
        stream = self._flowcontrol_stream
        if stream.meter.in_write:
            stream.end_write()
        return self._flowcontrol_step(next, self._flowcontrol_original)

    def throw(self, *error: Any) -> Any:
        """Throw an exception into the handler, which a neighbour may do in place of asking."""
        stream = self._flowcontrol_stream
        if stream.meter.in_write:
            stream.end_write()
        return self._flowcontrol_step(self._flowcontrol_original.throw, *error)

    def _flowcontrol_step(self, step: Callable[..., Any], *arguments: Any) -> Any:
        stream = self._flowcontrol_stream
        try:
            stream.end_if_cut()
            message = step(*arguments)
            if message is not None:  # which grpc takes for the end
                size = raw_size(message) if self._flowcontrol_raw else None
                if not stream.begin_write(size, count_of(message)):
                    stream.end_if_cut()
        except BaseException:
            stream.end()
            raise
        if message is None:
            stream.end()
        return message

    def __del__(self) -> None:
        self._flowcontrol_stream.end()  # not asked to the end: the call is over


def measured(behaviour: Any, begin: Begin, raw: bool) -> Any:
    """Return a handler's function, measured; None where it sends by a callback (grpc's `experimental_non_blocking`).

    `raw` tells that there is no serializer: messages go out as they are.
    """
    if getattr(behaviour, "experimental_non_blocking", False):
        return None

    def start(request: Any, context: Any) -> MeasuredMessages:
        stream = begin(context)
        try:
            messages = behaviour(request, MeasuredContext(context, stream))
        except BaseException:
            stream.end()
            raise
        return MeasuredMessages(messages, stream, raw)

    if not inspect.isgeneratorfunction(behaviour):
        return functools.wraps(behaviour)(start)

    def generator(request: Any, context: Any) -> Iterator[Any]:
        yield from start(request, context)

    return functools.wraps(behaviour)(generator)
