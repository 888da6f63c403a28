"""Readers that take what is in the log in its order: all of it, or the last of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice

from flowcontrol.books.book import SendBook, Standing
from flowcontrol.log.message_log import Entry, Message, MessageLog
from flowcontrol.log.reader import LogReader
from flowcontrol.log.resume import Stopped, at_head, where_stopped

DEFAULT_BUFFER_MESSAGES = 256


class InOrderReader(LogReader[Message]):
    """Knows its place: all before it has been taken, or dropped. `stopped` tells where its client stopped."""

    def __init__(self, log: MessageLog[Message], book: SendBook, stopped: Stopped | None = None) -> None:
        with log.lock:
            start = at_head(log) if stopped is None else where_stopped(log, stopped)
        self._place = start.place
        super().__init__(log, book, start)

    def _waiting(self) -> int:
        return self._waiting_in_log()

    def _waiting_in_log(self) -> int:
        place = max(self._place, self._log.first)
        waiting = self._log.head - place
        for key, has in self._has.items():
            state = self._log.keys[key]
            waiting -= max(0, min(has, state.newest.number) + 1 - state.number_at(place))
        return waiting

    def _begin_taking(self) -> None:
        self._place = max(self._place, self._log.first)

    def _coming(self, most: int) -> Iterable[Entry[Message]]:
        if not self._has:
            return self._log.run(self._place, most)
        entries = map(self._log.at, range(self._place, self._log.head))
        return islice((entry for entry in entries if entry.number > self._has.get(entry.key, 0)), most)

    def _go_on(self, count: int) -> None:
        while count and self._has and (entry := self._next()) is not None:
            self._pass(entry)
            count -= 1
        self._place += count

    def _next(self) -> Entry[Message] | None:
        """Go to the next entry that the client has not got, and return it."""
        log = self._log
        while self._place < log.head:
            entry = log.at(self._place)
            if not self._has or entry.number > self._has.get(entry.key, 0):
                return entry
            self._place += 1
        return None

    def _pass(self, entry: Entry[Message]) -> None:
        self._place += 1
        self._has.pop(entry.key, None)  # the client has none of the key that stands behind this one


class ReplayReader(InOrderReader[Message]):
    """Takes every message at the stream's own pace, as long as the log keeps it.

    What has fallen out of the log before is dropped; `on_lost` is told how many when the stream can write again.
    """

    def __init__(
        self,
        log: MessageLog[Message],
        book: SendBook,
        stopped: Stopped | None = None,
        *,
        on_lost: Callable[[int], None] = lambda lost: None,
    ) -> None:
        super().__init__(log, book, stopped)
        self._on_lost = on_lost

    def _end_taking(self, since: Standing) -> None:
        if since.dropped:
            self._on_lost(since.dropped)


class DropOldestReader(InOrderReader[Message]):
    """Takes the last `most_messages` messages, in order."""

    def __init__(
        self,
        log: MessageLog[Message],
        book: SendBook,
        stopped: Stopped | None = None,
        *,
        most_messages: int = DEFAULT_BUFFER_MESSAGES,
    ) -> None:
        self._most_messages = most_messages
        super().__init__(log, book, stopped)

    def _waiting(self) -> int:
        return min(self._waiting_in_log(), self._most_messages)

    def _begin_taking(self) -> None:
        super()._begin_taking()
        too_many = self._waiting_in_log() - self._most_messages
        while too_many > 0 and self._has:
            entry = self._next()
            if entry is None:
                return
            self._pass(entry)
            too_many -= 1
        self._place += max(0, too_many)
