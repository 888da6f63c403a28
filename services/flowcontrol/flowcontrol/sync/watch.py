"""Look at the consumers of a synchronous server, in a thread of its own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextvars import copy_context

from flowcontrol.books.book import SendBook
from flowcontrol.books.consumers import ConsumerEvent, ConsumerWatch, Thresholds
from flowcontrol.books.ledger import Ledger

log = logging.getLogger(__name__)


class ThreadWatch:
    """Looks at streams from time to time, in a thread that lives while any is open; calls `on_event` for each change.

    `on_event` runs in that thread, with the context variables of whoever has made the watch. What it raises is logged.
    """

    def __init__(
        self,
        ledger: Ledger[SendBook],
        on_event: Callable[[ConsumerEvent], None] | None = None,
        thresholds: Thresholds | None = None,
    ) -> None:
        self._ledger = ledger
        self._thresholds = thresholds or Thresholds()
        self._judge = ConsumerWatch(ledger, on_event, self._thresholds)
        self._books: set[SendBook] = set()
        self._lock = threading.Lock()
        self._variables = copy_context()
        self._thread: threading.Thread | None = None

    def watch(self, book: SendBook) -> None:
        """Look at a stream until it is closed."""
        with self._lock:
            self._books.add(book)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._variables.copy().run, args=(self._run,), name="flowcontrol-watch", daemon=True
                )
                self._thread.start()

    def _run(self) -> None:
        pause = threading.Event()
        while books := self._open_books():
            for book in books:
                if book.is_open:
                    self._look(book)
            pause.wait(self._thresholds.check_every_seconds)

    def _open_books(self) -> list[SendBook]:
        with self._lock:
            for book in [book for book in self._books if not book.is_open]:
                self._books.discard(book)
                self._judge.forget(book)
            if not self._books:
                self._thread = None  # under the lock: who comes now starts another one
            return list(self._books)

    def _look(self, book: SendBook) -> None:
        try:
            self._judge.check(book, self._ledger.clock())
        except Exception:
            log.exception("telling of a consumer has failed")
