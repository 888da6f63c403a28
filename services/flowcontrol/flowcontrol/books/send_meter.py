"""Keep the book of a stream while its messages are written, whatever goes wrong in between."""

from __future__ import annotations

import asyncio

import grpc

from flowcontrol.books.book import SendBook
from flowcontrol.books.ledger import Ledger
from flowcontrol.window import GRPC_PREFIX_BYTES, wire_bytes


class SendMeter:
    """Measures the writes of one stream. Never raises.

    A write that is given up in the middle, as by a time limit, has handed its message to the transport all the same:
    it counts as sent once a later one is accepted, or once the stream ends with a status, which comes behind it.
    """

    __slots__ = ("_clock", "_count", "_handed_over", "_ledger", "_overlapping", "_under_way", "_waiter", "book", "size")

    def __init__(self, book: SendBook, ledger: Ledger[SendBook]) -> None:
        self.book = book
        self.size: int | None = None
        """Serialised size of the message in the write under way, in bytes; None: it has not been serialised."""
        self._ledger = ledger
        self._clock = ledger.clock
        self._under_way = 0
        self._overlapping = False
        self._count = 1
        self._handed_over: list[tuple[int, int]] = []
        """Size and count of each."""
        self._waiter: asyncio.Future[None] | None = None

    # the next two run for every message, so they call as little as they can

    def begin(self, size: int | None = None, count: int = 1) -> None:
        """Note that a write begins, of so many messages; `size` is its own, where no serializer will tell it."""
        try:
            book = self.book
            if not book.is_open:
                return
            self.size = size
            self._count = count
            if book.buffer is None:
                book.produced += count
            book.in_write += count
            if self._under_way:
                self._under_way += 1
                self._overlapping = True
            else:
                self._under_way = 1
                book.writing.start(self._clock())
        except Exception:
            self._ledger.faults.note("a write begins")

    def accepted(self, count: int = 1) -> None:
        """Note that the transport has accepted the write, and with it all that were handed over before."""
        try:
            book, size = self.book, self.size
            if not book.is_open:
                return
            if self._handed_over:
                self._count_handed_over()
            book.in_write -= count
            book.messages += count
            book.batches += 1
            if size is None or book.compressed or self._overlapping:
                book.unsized += count
            else:
                book.wire_bytes += size + GRPC_PREFIX_BYTES
            if self._under_way == 1 and self._waiter is None:
                self._under_way = 0
                self._overlapping = False
                book.writing.stop(self._clock())
            else:
                self._under_way -= 1
                self._end_write()
        except Exception:
            self._ledger.faults.note("a write is accepted")

    def failed(self, error: BaseException, count: int = 1) -> None:
        """Note that a write has ended with an exception."""
        try:
            if not self.book.is_open:
                return
            # an error of grpc's own says that the message has not gone out
            if self.size is None or self._overlapping or isinstance(error, grpc.aio.BaseError):
                self.lost(count)
                # so grpc has one still that was given up, and the stream can come to no good end: whether that one
                # arrives nobody will know, but it may, and no book shows more received than sent
                self._count_handed_over()
            else:
                self._under_way -= 1
                self._handed_over.append((self.size, count))
                self._end_write()
        except Exception:
            self._ledger.faults.note("a write fails")

    def lost(self, count: int = 1) -> None:
        """Note that a write has ended, and its messages with it."""
        try:
            if not self.book.is_open:
                return
            self._under_way -= 1
            self.book.in_write -= count
            self.book.dropped += count
            self._end_write()
        except Exception:
            self._ledger.faults.note("a message is lost")

    def drop(self, count: int = 1) -> None:
        """Count messages that were made and will not be written."""
        if self.book.buffer is None:
            self.book.produced += count
        self.book.dropped += count

    def rest(self) -> None:
        """Note that nobody waits for the write under way any more."""
        try:
            self.book.writing.stop(self._clock())
        except Exception:
            self._ledger.faults.note("the clock stops")

    def close(self, arrives: bool) -> None:
        """Close the book; `arrives` tells that what the transport has comes to the client."""
        try:
            if self._under_way and self.size is not None:
                self._handed_over.append((self.size, self._count))
            if arrives:
                self._count_handed_over()
            self._ledger.close(self.book)
        except Exception:
            self._ledger.faults.note("a stream ends")
        self.rest()
        self._wake()

    @property
    def in_write(self) -> bool:
        """Whether a message is being written."""
        return self._under_way > 0

    @property
    def in_first_write(self) -> bool:
        """Whether a message is being written, and none has been before."""
        return self._under_way > 0 and self.book.messages == 0

    async def first_write(self) -> None:
        """Wait for the end of the write under way."""
        self._waiter = asyncio.get_running_loop().create_future()
        await self._waiter

    def _count_handed_over(self) -> None:
        for size, count in self._handed_over:
            self.book.in_write -= count
            self.book.add(None if self.book.compressed else wire_bytes(size), count)
        self._handed_over.clear()

    def _end_write(self) -> None:
        if self._under_way == 0:
            self._overlapping = False
            self.book.writing.stop(self._clock())
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
