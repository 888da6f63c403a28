"""What a stream does with messages of a source that does not wait: each policy is a buffer with a bound."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import AsyncIterator, Callable, Hashable
from typing import Generic, TypeVar

from flowcontrol.books.book import SendBook

Message = TypeVar("Message")

DEFAULT_BUFFER_MESSAGES = 256


class StreamBuffer(ABC, Generic[Message]):
    """Messages that wait for one stream's writer; iterate over it to take them. Keeps the stream's book.

    All calls come from the event loop; `put` never waits. Closing ends the iteration; what waits then is counted as
    dropped when the book is closed.
    """

    def __init__(self, book: SendBook) -> None:
        self._book = book
        self._ready = asyncio.Event()
        self._closed = False
        book.buffer = self

    def put(self, key: Hashable, message: Message) -> None:
        """Take a new message in; `key` tells what it is about."""
        if self._closed:
            return
        self._book.produced += 1
        self._book.dropped += self._store(key, message)
        self._ready.set()

    def close(self) -> None:
        """End the iteration, and take nothing more in."""
        self._closed = True
        self._ready.set()

    async def __aiter__(self) -> AsyncIterator[Message]:
        while True:
            while not len(self) and not self._closed:
                self._ready.clear()
                await self._ready.wait()
            if self._closed:
                return
            yield self._take()

    @abstractmethod
    def __len__(self) -> int:
        """Return how many messages wait."""

    @abstractmethod
    def _store(self, key: Hashable, message: Message) -> int:
        """Keep a message; return how many had to be dropped for it."""

    @abstractmethod
    def _take(self) -> Message:
        """Remove and return the next message; only called where one waits."""


class ConflateBuffer(StreamBuffer[Message]):
    """Holds the newest message of each key. A newer one takes its elder's place in the queue: no key starves."""

    def __init__(self, book: SendBook) -> None:
        super().__init__(book)
        self._newest: dict[Hashable, Message] = {}

    def __len__(self) -> int:
        return len(self._newest)

    def _store(self, key: Hashable, message: Message) -> int:
        replaced = key in self._newest
        self._newest[key] = message
        return int(replaced)

    def _take(self) -> Message:
        return self._newest.pop(next(iter(self._newest)))


class DropOldestBuffer(StreamBuffer[Message]):
    """Holds the last `most_messages` messages, in order."""

    def __init__(self, book: SendBook, most_messages: int = DEFAULT_BUFFER_MESSAGES) -> None:
        super().__init__(book)
        self._most_messages = most_messages
        self._queue: deque[Message] = deque()

    def __len__(self) -> int:
        return len(self._queue)

    def _store(self, key: Hashable, message: Message) -> int:
        self._queue.append(message)
        if len(self._queue) <= self._most_messages:
            return 0
        self._queue.popleft()
        return 1

    def _take(self) -> Message:
        return self._queue.popleft()


class DisconnectBuffer(DropOldestBuffer[Message]):
    """Holds the last `most_messages` messages; calls `on_overdue` once it has been full for `patience_seconds`.

    The call brings the seconds for which it has been full. It is due when a message comes that finds no room. A buffer
    stays full until half of it has been taken: room for one message more is no sign of a client that catches up.
    """

    def __init__(
        self,
        book: SendBook,
        on_overdue: Callable[[float], None],
        *,
        patience_seconds: float,
        most_messages: int = DEFAULT_BUFFER_MESSAGES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(book, most_messages)
        self._on_overdue = on_overdue
        self._patience_seconds = patience_seconds
        self._clock = clock
        self._full_since: float | None = None

    def _store(self, key: Hashable, message: Message) -> int:
        dropped = super()._store(key, message)
        if len(self) < self._most_messages:
            return dropped
        now = self._clock()
        if self._full_since is None:
            self._full_since = now
        elif now - self._full_since >= self._patience_seconds and not self._closed:
            self.close()
            self._on_overdue(now - self._full_since)
        return dropped

    def _take(self) -> Message:
        message = super()._take()
        if len(self) <= self._most_messages // 2:
            self._full_since = None
        return message
