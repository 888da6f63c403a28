"""Messages in the order in which they came, kept for a while; the newest of each key is kept always."""

from __future__ import annotations

import asyncio
import threading
import time
from bisect import bisect_left
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypeVar

Message = TypeVar("Message")

DEFAULT_MESSAGES = 100_000
DEFAULT_BYTES = 32 * 2**20


class Entry(NamedTuple, Generic[Message]):
    """A message in the log."""

    key: Hashable
    """What it is about."""
    number: int
    """Rises by one from message to message of a key, as long as none is lost before it comes to the log."""
    message: Message
    size: int
    """Bytes."""
    appended_at: float
    """By the log's clock."""


@dataclass(frozen=True)
class LogBounds:
    """What a log keeps at most. It always keeps its last message, and the newest one of each key."""

    messages: int = DEFAULT_MESSAGES
    bytes: int = DEFAULT_BYTES
    """Of the messages, without what Python takes to hold them."""
    age_seconds: float = 0.0
    """0: no message is too old. Older ones go when others come."""


@dataclass(frozen=True)
class LogState:
    """A log at one moment. A position is the number of messages that came before."""

    first: int
    """Position of the oldest message that it keeps; that of the next one where it keeps none."""
    head: int
    """Position of the next message to come."""
    bytes: int
    oldest_age_seconds: float

    @property
    def messages(self) -> int:
        """How many messages it keeps."""
        return self.head - self.first


@dataclass(slots=True)
class KeyState(Generic[Message]):
    """What a log knows of one key."""

    newest: Entry[Message]
    position: int
    """Where that stands."""
    kept: deque[int] = field(default_factory=deque)
    """Positions of its messages that the log keeps, those before a gap left out: their numbers rise by one."""

    @property
    def first_number(self) -> int:
        """Number of the oldest message that the log keeps; that of the next one to come where it keeps none."""
        return self.newest.number - len(self.kept) + 1

    def position_of(self, number: int) -> int | None:
        """Return where a number stands; None where the log does not keep it."""
        index = number - self.first_number
        return self.kept[index] if 0 <= index < len(self.kept) else None

    def number_at(self, position: int) -> int:
        """Return the first number that stands at a position or behind it; where there is none, the next to come."""
        return self.first_number + bisect_left(self.kept, position)


class MessageLog(Generic[Message]):
    """Takes each message once, whatever the number of its readers; it waits for none of them.

    `append` and `close` are called in the event loop. Readers' numbers and `state` may be asked for in other threads,
    so whatever changes or reads more than one thing holds `lock`, for moments.
    """

    def __init__(
        self,
        bounds: LogBounds | None = None,
        *,
        size_of: Callable[[Message], int] = lambda message: len(message),  # type: ignore[arg-type]
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.bounds = bounds or LogBounds()
        self.clock = clock
        self.lock = threading.Lock()
        self.first = 0
        """Position of the oldest message that is kept."""
        self.head = 0
        """Position of the next message to come."""
        self.keys: OrderedDict[Hashable, KeyState[Message]] = OrderedDict()
        """All keys that there have been; those whose newest message came last stand last."""
        self.is_closed = False
        self.turn = 0
        """Rises when who appends begins another turn; what each reader takes in one is counted."""
        self.taken_in_turn = 0
        """How many the fastest reader has taken in this turn."""
        self._size_of = size_of
        self._entries: list[Any] = []  # None where one has gone, and its place has not
        self._base = 0
        self._bytes = 0
        self._waiters: dict[asyncio.Future[None], None] = {}

    def append(self, key: Hashable, number: int, message: Message) -> None:
        """Take a message in, and wake the readers that wait for one.

        Raises ValueError: the key's newest has this number or a higher one, or the log is closed.
        """
        if self.is_closed:
            raise ValueError("the log is closed")
        known = self.keys.get(key)
        if known is not None:
            key = known.newest.key  # one string for all messages of a key
        entry = Entry(key, number, message, self._size_of(message), self.clock())
        with self.lock:
            if known is None:
                known = self.keys[key] = KeyState(entry, self.head)
            elif number <= known.newest.number:
                raise ValueError(f"{key!r}: number {number} does not follow {known.newest.number}")
            else:
                if number > known.newest.number + 1:
                    known.kept.clear()  # they are found by counting from the newest
                known.newest = entry
                known.position = self.head
                self.keys.move_to_end(key)
            known.kept.append(self.head)
            self._entries.append(entry)
            self.head += 1
            self._bytes += entry.size
            self._trim(entry.appended_at)
        self._wake()

    def close(self) -> None:
        """Take nothing more in, and end all reading."""
        self.is_closed = True
        self._wake()

    def at(self, position: int) -> Entry[Message]:
        """Return the entry at a position, which must be kept."""
        entry: Entry[Message] = self._entries[position - self._base]
        return entry

    def begin_turn(self) -> int:
        """Return how many messages the fastest reader has taken since the last call: so many more it could use."""
        taken, self.taken_in_turn = self.taken_in_turn, 0
        self.turn += 1
        return taken

    def run(self, position: int, most: int) -> list[Entry[Message]]:
        """Return the entries from a position on, which must be kept: so many at most."""
        index = position - self._base
        return self._entries[index : index + most]

    def state(self) -> LogState:
        """Return what there is now."""
        with self.lock:
            oldest = self.at(self.first).appended_at if self.first < self.head else None
            age = 0.0 if oldest is None else max(0.0, self.clock() - oldest)
            return LogState(self.first, self.head, self._bytes, age)

    def changed_since(self, position: int) -> Iterator[tuple[Hashable, KeyState[Message]]]:
        """Yield the keys with a message at a position or behind it, that whose newest came last first."""
        for key in reversed(self.keys):
            state = self.keys[key]
            if state.position < position:
                return
            yield key, state

    async def wait(self) -> None:
        """Return once a message has been appended, or the log has been closed."""
        if self.is_closed:
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters[waiter] = None
        try:
            await waiter
        finally:
            self._waiters.pop(waiter, None)

    def _wake(self) -> None:
        if self._waiters:
            waiters, self._waiters = self._waiters, {}
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)

    def _trim(self, now: float) -> None:
        bounds = self.bounds
        while self.head - self.first > 1 and (
            self.head - self.first > bounds.messages
            or self._bytes > bounds.bytes
            or (bounds.age_seconds and now - self.at(self.first).appended_at > bounds.age_seconds)
        ):
            index = self.first - self._base
            entry = self._entries[index]
            self._entries[index] = None
            self._bytes -= entry.size
            kept = self.keys[entry.key].kept
            if kept and kept[0] == self.first:
                kept.popleft()
            self.first += 1
        gone = self.first - self._base
        if gone > len(self._entries) // 2:
            del self._entries[:gone]  # not each by itself: all that stand behind it would move
            self._base = self.first
