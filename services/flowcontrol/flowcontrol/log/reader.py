"""A stream as a reader of the log: where it stands, and what follows from that."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterable
from math import inf
from typing import Generic

from flowcontrol.books.book import SendBook, Standing
from flowcontrol.log.message_log import Entry, Message, MessageLog
from flowcontrol.log.resume import Start


class LogReader(ABC, Generic[Message]):
    """What one stream has had of the log, and what waits for it; iterate over it to take that.

    Nothing happens to it when a message is appended: what was made for the stream, dropped and waits follows from the
    log's head and the reader's place. It comes into the stream's book when messages are taken, and whenever the book is
    asked. Taking and closing are done in the event loop. Closing ends the iteration, as does the end of the log; what
    waits then is counted as dropped when the book is closed.
    """

    def __init__(self, log: MessageLog[Message], book: SendBook, start: Start) -> None:
        self.lost_at_start = start.lost
        """Messages that the client has not got, and that the log did not have any more."""
        self.is_closed = False
        self._log = log
        self._book = book
        self._origin = start.origin
        self._has = start.has
        self._ahead = start.ahead
        self._taken = 0
        self._turn = 0
        self._taken_in_turn = 0
        self._produced_in_book = 0
        self._dropped_in_book = 0
        with log.lock:
            self._bring_up_to_date()
        book.buffer = self

    def take(self) -> Message | None:
        """Return the next message; None where none waits."""
        messages = self.take_many(1)
        return messages[0] if messages else None

    def take_many(self, most_messages: int, most_bytes: float = inf, bytes_beside_each: int = 0) -> list[Message]:
        """Return the next messages, so many at most, and so many bytes where they are more than one."""
        messages: list[Message] = []
        if self.is_closed or self._log.is_closed or not self._book.is_open:
            return messages
        with self._log.lock:
            self._begin_taking()
            size = 0
            for entry in self._coming(most_messages):
                size += entry.size + bytes_beside_each
                if messages and size > most_bytes:
                    break
                messages.append(entry.message)
            self._go_on(len(messages))
            self._taken += len(messages)
            self._note_turn(len(messages))
            since = self._bring_up_to_date()
        self._end_taking(since)
        return messages

    async def __aiter__(self) -> AsyncIterator[Message]:
        while True:
            message = self.take()
            if message is not None:
                yield message
            elif not await self.ready():
                return

    async def ready(self) -> bool:
        """Wait until a message can be taken; return False where none will be any more."""
        while not (self.is_closed or self._log.is_closed):
            with self._log.lock:
                if self._waiting():
                    return True
            await self._log.wait()
        return False

    def close(self) -> None:
        """End the iteration."""
        self.is_closed = True

    def _note_turn(self, taken: int) -> None:
        log = self._log
        self._taken_in_turn = taken + (self._taken_in_turn if self._turn == log.turn else 0)
        self._turn = log.turn
        log.taken_in_turn = max(log.taken_in_turn, self._taken_in_turn)

    def standing(self) -> Standing:
        """Return what has come since the book was brought up to date, and what waits. From any thread."""
        with self._log.lock:
            return self._standing()

    def _standing(self) -> Standing:
        produced = self._produced()
        waiting = self._waiting()
        dropped = produced - self._taken - waiting
        return Standing(produced - self._produced_in_book, dropped - self._dropped_in_book, waiting)

    def _bring_up_to_date(self) -> Standing:
        since = self._standing()
        self._book.produced += since.produced
        self._book.dropped += since.dropped
        self._produced_in_book += since.produced
        self._dropped_in_book += since.dropped
        return since

    def _produced(self) -> int:
        produced = self._log.head - self._origin
        for key, (has, newest_then) in self._ahead.items():
            produced -= min(self._log.keys[key].newest.number, has) - newest_then
        return produced

    # what follows is called with the log's lock, but for the last

    @abstractmethod
    def _waiting(self) -> int:
        """Return how many messages wait."""

    @abstractmethod
    def _coming(self, most: int) -> Iterable[Entry[Message]]:
        """Return the next entries, so many at most, and leave them there."""

    @abstractmethod
    def _go_on(self, count: int) -> None:
        """Go on behind the first of the entries that `_coming` has just returned."""

    def _begin_taking(self) -> None:
        """Work in what has come since the last time."""

    def _end_taking(self, since: Standing) -> None:
        """Do what follows from what has come since the last time, and still waits."""
