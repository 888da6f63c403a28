"""Learn the size of each message from the method's own serializer, as grpc calls it; serialise shared ones once."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from flowcontrol.books.send_meter import SendMeter
from flowcontrol.gather import Batch, Entries

Serializer = Callable[[Any], bytes]


class SharedMessage:
    """A message for many streams of one method, which is serialised once, when the first of them sends it.

    Handlers that are measured may send it in place of the message; its attributes are the message's.
    """

    __slots__ = ("_data", "_entry", "_message", "_parse")

    def __init__(self, message: Any) -> None:
        self._message = message
        self._data: bytes | None = None
        self._entry: bytes | None = None
        self._parse: Callable[[bytes], Any] | None = None

    @classmethod
    def of_bytes(cls, data: bytes, parse: Callable[[bytes], Any]) -> SharedMessage:
        """Return a message that is serialised already; `parse` makes a message of it where somebody looks into it."""
        shared = cls(None)
        shared._data = data
        shared._parse = parse
        return shared

    @property
    def message(self) -> Any:
        """The message."""
        return self._message if self._parse is None else self._parse(self._data or b"")

    def __getattr__(self, name: str) -> Any:
        return getattr(self.message, name)

    def serialized(self, serialize: Serializer) -> bytes:
        """Return the message as `serialize` makes it, or has made it."""
        if self._data is None:
            self._data = serialize(self._message)
        return self._data

    def entry(self, entries: Entries, serialize: Serializer) -> bytes:
        """Return the message as an entry of a batch, made once too; `entries` and `serialize` are the method's."""
        if self._entry is None:
            self._entry = entries.entry(self.serialized(serialize))
        return self._entry


class Sizing:
    """Tells the meter of one call's stream what each of its messages has come to.

    grpc asks for a handler for each call, so its serializer serves one stream. Where another interceptor keeps
    handlers for several streams at once, their sizes stay unknown.
    """

    __slots__ = ("_meters", "_only")

    def __init__(self) -> None:
        self._meters: list[SendMeter] = []
        self._only: SendMeter | None = None

    def add(self, meter: SendMeter) -> None:
        """Begin to tell a stream's meter."""
        self._meters.append(meter)
        self._choose()

    def remove(self, meter: SendMeter) -> None:
        """Tell a stream's meter no more."""
        if meter in self._meters:
            self._meters.remove(meter)
            self._choose()

    def serializer(self, serialize: Serializer) -> Serializer:
        """Return a serializer that does what `serialize` does, and tells the size."""

        def sizing(message: Any) -> bytes:
            kind = type(message)
            if kind is Batch:
                data: bytes = message.data
            else:
                data = message.serialized(serialize) if kind is SharedMessage else serialize(message)
            meter = self._only
            if meter is not None and type(data) is bytes:
                meter.size = len(data)
            return data

        return functools.wraps(serialize)(sizing)

    def _choose(self) -> None:
        self._only = self._meters[0] if len(self._meters) == 1 else None


def count_of(message: Any) -> int:
    """Return how many messages one stands for."""
    return message.count if isinstance(message, Batch) else 1


def raw_size(message: Any) -> int | None:
    """Return the size of a message that grpc sends as it is, for want of a serializer: bytes, or text."""
    if isinstance(message, str):
        return len(message.encode())
    return len(message) if isinstance(message, bytes) else None
