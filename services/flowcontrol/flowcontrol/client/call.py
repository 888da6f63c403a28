"""A client's call whose messages are measured as they are read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc

from flowcontrol.books.reads import measured_messages
from flowcontrol.books.receive_meter import ReceiveMeter


class MeasuredCall:
    """A call of a response stream; all but reading is the original's, whichever class of call that is."""

    def __init__(self, call: Any, meter: ReceiveMeter) -> None:
        self._flowcontrol_call = call
        self._flowcontrol_meter = meter
        self._flowcontrol_messages: AsyncIterator[Any] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._flowcontrol_call, name)

    def __aiter__(self) -> AsyncIterator[Any]:
        messages = aiter(self._flowcontrol_call)  # grpc refuses this where messages have been read by `read`
        if self._flowcontrol_messages is None:
            self._flowcontrol_messages = measured_messages(messages, self._flowcontrol_meter)
        return self._flowcontrol_messages

    async def read(self) -> Any:
        """Return the next message, or `grpc.aio.EOF`."""
        meter = self._flowcontrol_meter  # as `measured_read`, without another coroutine for every message
        meter.begin()
        try:
            message = await self._flowcontrol_call.read()
        except BaseException:
            meter.ended()
            raise
        if message is grpc.aio.EOF:
            meter.ended()
        else:
            meter.received(message)
        return message

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        """Register a callback for the end of the call; it is given this call in place of the original."""
        call = self._flowcontrol_call
        call.add_done_callback(lambda given: callback(self if given is call else given))


class MeasuredUnaryStreamCall(MeasuredCall):
    """A measured `grpc.aio.UnaryStreamCall`."""


class MeasuredStreamStreamCall(MeasuredCall):
    """A measured `grpc.aio.StreamStreamCall`."""


# grpc asks what is a call by isinstance; all abstract methods are there by __getattr__
grpc.aio.UnaryStreamCall.register(MeasuredUnaryStreamCall)
grpc.aio.StreamStreamCall.register(MeasuredStreamStreamCall)
