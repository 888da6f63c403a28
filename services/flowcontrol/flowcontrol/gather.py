"""Gather messages that wait for their turn into batches: a message whose only field is the repeated one."""

from __future__ import annotations

from dataclasses import dataclass

from flowcontrol.window import DEFAULT_WINDOW_BYTES, Window, wire_bytes

MOST_MESSAGES = 256
SHARE_OF_WINDOW = 4
"""A batch is at most this part of the window, so that three more can be under way while one is read."""

_LENGTH_DELIMITED = 2
"""Wire type of embedded messages (Protocol Buffers, Encoding)."""


@dataclass(frozen=True)
class BatchLimit:
    """How large a batch may grow; a message that is larger by itself goes alone."""

    most_messages: int = MOST_MESSAGES
    most_bytes: int = DEFAULT_WINDOW_BYTES // SHARE_OF_WINDOW
    """On the wire, the 5-byte gRPC prefix included."""

    @classmethod
    def for_window(cls, window: Window | None, most_messages: int = MOST_MESSAGES) -> BatchLimit:
        """Return the limit for a client's window: a quarter of it, or of HTTP/2's default where it declares none."""
        declared = window and window.size_bytes
        return cls(most_messages, (declared or DEFAULT_WINDOW_BYTES) // SHARE_OF_WINDOW)


class Batch:
    """Several messages as one, serialised; a measured handler sends it, and it counts as what it holds."""

    __slots__ = ("count", "data")

    def __init__(self, count: int, data: bytes) -> None:
        self.count = count
        """How many messages it holds."""
        self.data = data


class Entries:
    """Makes serialised messages the entries of a repeated field: joined, they are a message that has that field."""

    def __init__(self, field_number: int) -> None:
        self._tag = _varint(field_number << 3 | _LENGTH_DELIMITED)
        self._heads: dict[int, bytes] = {}

    def head(self, size: int) -> bytes:
        """Return what stands before a serialised message of so many bytes."""
        head = self._heads.get(size)
        if head is None:
            head = self._tag + _varint(size)
            if len(self._heads) < 1_000:
                self._heads[size] = head
        return head

    def entry(self, data: bytes) -> bytes:
        """Return a serialised message as an entry."""
        return self.head(len(data)) + data


class Gathering:
    """Entries of one stream that are to go together, never more than the limit lets."""

    __slots__ = ("_bytes", "_largest", "_most_bytes", "_most_messages", "_parts")

    def __init__(self, limit: BatchLimit) -> None:
        self._most_messages = limit.most_messages
        self._most_bytes = limit.most_bytes
        self._parts: list[bytes] = []
        self._bytes = wire_bytes(0)
        self._largest = 0

    def __len__(self) -> int:
        return len(self._parts)

    @property
    def full(self) -> bool:
        """Whether another entry as large as the largest one yet might find no room."""
        return len(self._parts) >= self._most_messages or self._bytes + self._largest > self._most_bytes

    def add(self, entry: bytes) -> Batch | None:
        """Take an entry in; return the batch before it where it finds no room there."""
        size = len(entry)
        before = None
        if self._parts and (self._bytes + size > self._most_bytes or len(self._parts) >= self._most_messages):
            before = self.take()
        self._parts.append(entry)
        self._bytes += size
        if size > self._largest:
            self._largest = size
        return before

    def take(self) -> Batch:
        """Return what has been gathered, and begin anew."""
        parts = self._parts
        batch = Batch(len(parts), parts[0] if len(parts) == 1 else b"".join(parts))
        self._parts = []
        self._bytes = wire_bytes(0)
        return batch


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 127:
        encoded.append(number & 127 | 128)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
