"""A reader that gives its stream up where that is too far behind for too long."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from flowcontrol.books.book import SendBook, Standing
from flowcontrol.log.in_order import DEFAULT_BUFFER_MESSAGES, DropOldestReader
from flowcontrol.log.message_log import Message, MessageLog
from flowcontrol.log.resume import Stopped

LOOK_EVERY_SECONDS = 0.2
"""A stream is not looked at more often than this, however short its patience."""


class DisconnectReader(DropOldestReader[Message]):
    """As `drop-oldest`; calls `on_overdue` once `most_messages` messages have waited for `patience_seconds`.

    The call brings the seconds for which it has been full, and comes from a timer: also while nothing is appended, and
    nothing taken. A reader stays full until half of that has been taken: room for one message more is no sign of a
    client that catches up. One that begins where its client stopped is full from then on, not before.
    """

    def __init__(
        self,
        log: MessageLog[Message],
        book: SendBook,
        stopped: Stopped | None = None,
        *,
        on_overdue: Callable[[float], None],
        patience_seconds: float,
        most_messages: int = DEFAULT_BUFFER_MESSAGES,
    ) -> None:
        super().__init__(log, book, stopped, most_messages=most_messages)
        self._on_overdue = on_overdue
        self._patience_seconds = patience_seconds
        self._began_at = log.clock()
        self._full_since: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._look_again(patience_seconds)

    def full_seconds(self) -> float | None:
        """Return for how long it has been full; None: it is not."""
        with self._log.lock:
            self._note_full()
        return None if self._full_since is None else self._log.clock() - self._full_since

    def close(self) -> None:
        """End the iteration, and all patience."""
        super().close()
        if self._timer is not None:
            self._timer.cancel()

    def _look_again(self, in_seconds: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(max(in_seconds, LOOK_EVERY_SECONDS), self._look)

    def _look(self) -> None:
        if self.is_closed or self._log.is_closed or not self._book.is_open:
            return
        full_seconds = self.full_seconds()
        if full_seconds is None:
            self._look_again(self._patience_seconds)
        elif full_seconds < self._patience_seconds:
            self._look_again(self._patience_seconds - full_seconds)
        else:
            self.close()
            self._on_overdue(full_seconds)

    def _begin_taking(self) -> None:
        self._note_full()
        super()._begin_taking()

    def _end_taking(self, since: Standing) -> None:
        if since.waiting <= self._most_messages // 2:
            self._full_since = None

    def _note_full(self) -> None:
        log = self._log
        too_many = self._waiting_in_log() - self._most_messages
        if self._full_since is not None or (too_many < 0 and self._place >= log.first):
            return
        filled_it = min(max(log.first, log.head - 1 - too_many), log.head - 1)
        self._full_since = max(self._began_at, log.at(filled_it).appended_at)
