"""The requests that a handler is given, measured as it reads them, each with the size that it came in."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable
from typing import Any

from flowcontrol.books.reads import measured_messages
from flowcontrol.books.receive_meter import ReceiveMeter
from flowcontrol.server.serializer import raw_size

Deserializer = Callable[[bytes], Any]


class MeasuredRequests:
    """A handler's request iterator, grpc's own or another interceptor's; all but iterating is the original's."""

    def __init__(self, requests: Any, meter: ReceiveMeter) -> None:
        self._flowcontrol_requests = requests
        self._flowcontrol_meter = meter
        self._flowcontrol_messages: AsyncIterator[Any] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._flowcontrol_requests, name)

    def __aiter__(self) -> AsyncIterator[Any]:
        if self._flowcontrol_messages is None:
            messages = aiter(self._flowcontrol_requests)
            self._flowcontrol_messages = measured_messages(messages, self._flowcontrol_meter)
        return self._flowcontrol_messages

    async def __anext__(self) -> Any:
        return await anext(aiter(self))


class RequestSizing:
    """Tells the size of the message that was deserialised last, before anything else can have been.

    A message that another interceptor has held, or made, is not that one, and its size is not known.
    """

    __slots__ = ("_is_raw", "_message", "_size")

    def __init__(self) -> None:
        self._is_raw = True
        self._message: Any = None
        self._size: int | None = None

    def deserializer(self, deserialize: Deserializer | None) -> Deserializer | None:
        """Return a deserializer that does what `deserialize` does, and remembers the size; None: there is none."""
        if not deserialize:
            return deserialize
        self._is_raw = False

        def sizing(data: bytes) -> Any:
            message = deserialize(data)
            self._message, self._size = message, len(data)
            return message

        return functools.wraps(deserialize)(sizing)

    def size_of(self, message: Any) -> int | None:
        """Return the size in bytes in which a message has come."""
        if self._is_raw:
            return raw_size(message)
        if message is not self._message:
            return None
        size, self._message, self._size = self._size, None, None
        return size
