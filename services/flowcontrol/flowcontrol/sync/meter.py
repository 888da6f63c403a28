"""The meters, for streams that a thread writes or reads while another one of grpc's tells of their end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from flowcontrol.books.book import ReceiveBook, SendBook
from flowcontrol.books.ledger import Ledger
from flowcontrol.books.receive_meter import ReceiveMeter
from flowcontrol.books.send_meter import SendMeter

BLOCKED_AFTER_SECONDS = 0.02
"""A write that takes longer counts as blocked. In asyncio 1 ms tells, but here threads wait for each other: among 16
streams at full speed, which nobody holds back, a write takes 2 ms, and one in a hundred 20."""


class LockedSendMeter(SendMeter):
    """Measures the writes of one stream, from any thread. Never raises."""

    __slots__ = ("_lock",)

    def __init__(self, book: SendBook, ledger: Ledger[SendBook]) -> None:
        super().__init__(book, ledger)
        book.writing.ignore_below_seconds = BLOCKED_AFTER_SECONDS
        self._lock = threading.Lock()

    def begin(self, size: int | None = None, count: int = 1) -> None:
        """Note that a write begins."""
        with self._lock:
            super().begin(size, count)

    def accepted(self, count: int = 1) -> None:
        """Note that the transport has accepted the write."""
        with self._lock:
            super().accepted(count)

    def failed(self, error: BaseException, count: int = 1) -> None:
        """Note that a write has ended otherwise."""
        with self._lock:
            super().failed(error, count)

    def close(self, arrives: bool) -> None:
        """Close the book."""
        with self._lock:
            super().close(arrives)

    @property
    def blocked_seconds(self) -> float:
        """For how long the write under way has been blocked; 0: none is."""
        return self.book.writing.lap_seconds(self._clock())


class LockedReceiveMeter(ReceiveMeter):
    """Measures the reads of one stream, from any thread. Never raises."""

    __slots__ = ("_lock",)

    def __init__(
        self,
        book: ReceiveBook,
        ledger: Ledger[ReceiveBook],
        size_of: Callable[[Any], int | None],
        count_of: Callable[[Any], int] | None = None,
    ) -> None:
        super().__init__(book, ledger, size_of, count_of)
        self._lock = threading.Lock()

    def received(self, message: Any) -> None:
        """Note that the application has a message."""
        with self._lock:
            super().received(message)

    def ended(self) -> None:
        """Note that a read has ended without a message."""
        with self._lock:
            super().ended()

    def end(self) -> None:
        """Note that the call has ended."""
        with self._lock:
            super().end()
