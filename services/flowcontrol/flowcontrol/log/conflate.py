"""A reader that takes the newest message of each key."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from itertools import islice

from flowcontrol.books.book import SendBook
from flowcontrol.log.message_log import Entry, Message, MessageLog
from flowcontrol.log.reader import LogReader
from flowcontrol.log.resume import Stopped, at_head, newest_of_each


class ConflateReader(LogReader[Message]):
    """Takes the newest message of each key, which the log always has.

    Keys queue, each once: no key starves. What has been appended since keys were queued is looked at when messages are
    taken. With `stopped`, the newest of each key that its client has not got comes first.
    """

    def __init__(self, log: MessageLog[Message], book: SendBook, stopped: Stopped | None = None) -> None:
        with log.lock:
            start, waiting = (at_head(log), []) if stopped is None else newest_of_each(log, stopped)
        self._queue: dict[Hashable, None] = dict.fromkeys(waiting)
        self._queued_up_to = start.place
        super().__init__(log, book, start)

    def _waiting(self) -> int:
        log = self._log
        if not self._has and log.keys:
            oldest = log.keys[next(iter(log.keys))]
            if oldest.position >= self._queued_up_to:
                return len(log.keys)  # all have come since; so it is for a stream that has been stalled for long
        return len(self._queue) + sum(1 for _ in self._to_be_queued())

    def _begin_taking(self) -> None:
        for key in reversed(list(self._to_be_queued())):
            self._queue[key] = None
        self._queued_up_to = self._log.head

    def _coming(self, most: int) -> Iterator[Entry[Message]]:
        keys = self._log.keys
        return (keys[key].newest for key in islice(self._queue, most))

    def _go_on(self, count: int) -> None:
        for key in tuple(islice(self._queue, count)):
            del self._queue[key]

    def _to_be_queued(self) -> Iterator[Hashable]:
        for key, state in self._log.changed_since(self._queued_up_to):
            if key not in self._queue and state.newest.number > self._has.get(key, 0):
                yield key
