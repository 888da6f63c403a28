"""Keep the book of a stream while its messages are read, whatever goes wrong in between."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flowcontrol.books.book import ReceiveBook
from flowcontrol.books.ledger import Ledger
from flowcontrol.window import GRPC_PREFIX_BYTES


class ReceiveMeter:
    """Measures the reads of one stream. Never raises.

    `size_of` returns a message's serialised size in bytes, None where it is not known; `count_of`, how many messages
    it holds. What is read after the end of the call counts where the stream `goes_on` without it.
    """

    __slots__ = ("_call_has_ended", "_clock", "_count_of", "_goes_on", "_ledger", "_size_of", "book")

    def __init__(
        self,
        book: ReceiveBook,
        ledger: Ledger[ReceiveBook],
        size_of: Callable[[Any], int | None],
        count_of: Callable[[Any], int] | None = None,
        *,
        goes_on: bool = True,
    ) -> None:
        self.book = book
        self._ledger = ledger
        self._clock = ledger.clock
        self._size_of = size_of
        self._goes_on = goes_on
        self._count_of = count_of
        self._call_has_ended = False

    def begin(self) -> None:
        """Note that a read begins."""
        try:
            now = self._clock()
            self.book.processing.stop(now)
            self.book.waiting.start(now)
        except Exception:
            self._ledger.faults.note("a read begins")

    def received(self, message: Any) -> None:
        """Note that the application has a message."""
        try:
            now = self._clock()
            self.book.waiting.stop(now)
            if not self.book.is_open:
                if not self._goes_on:
                    return
                # another interceptor has the messages of a call that has ended, or has made another call for them
                self.book = self._ledger.go_on(self.book)
            book = self.book
            book.processing.start(now)
            size, count = None, 1
            try:
                if message is not None:  # as grpc hands on what it could not deserialise
                    size = self._size_of(message)
                    if self._count_of is not None:
                        count = self._count_of(message)
            except Exception:
                self._ledger.faults.note("the size of a message")
            book.messages += count
            book.batches += 1
            if size is None:
                book.unsized += count
            else:
                book.wire_bytes += size + GRPC_PREFIX_BYTES
        except Exception:
            self._ledger.faults.note("a message is read")

    def ended(self) -> None:
        """Note that a read has ended without a message."""
        try:
            self.book.waiting.stop(self._clock())
            if self._call_has_ended:
                self._ledger.close(self.book)
        except Exception:
            self._ledger.faults.note("a read fails")

    def end(self) -> None:
        """Note that the call has ended."""
        self._call_has_ended = True
        try:
            self._ledger.close(self.book)
        except Exception:
            self._ledger.faults.note("a stream ends")
