"""Tell when a stream's consumer becomes held back, stops, or recovers."""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Callable
from contextvars import copy_context
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from flowcontrol.books.book import RECOVERED, ConsumerState, SendBook
from flowcontrol.books.ledger import Ledger
from flowcontrol.books.seen import SeenWindow
from flowcontrol.window import AUTOTUNED_ENDS_AT_BYTES

FULL_AFTER_SECONDS = 0.5
"""A write that has been blocked for so long waits for the reader: shorter ones are also those of a connection that
begins, and of a busy machine, and say nothing of the window."""

_SEVERITY = {state: severity for severity, state in enumerate(ConsumerState)}


@dataclass(frozen=True)
class ConsumerEvent:
    """A consumer has changed. From held back to recovered each change is told once."""

    became: str
    """'held_back', 'stopped' or 'recovered'."""
    client: str
    peer: str
    method: str
    policy: str
    blocked_seconds: float
    """For how long the write under way has been blocked; 0 if none is."""
    blocked_share: float
    """Share of the last seconds in which writes were blocked, 0 to 1."""
    in_flight_bytes: int | None
    """What the window holds while a write is blocked: the window. None: no write is, or the client tells no window."""
    sent_messages: int
    waiting_messages: int
    dropped_messages: int


@dataclass
class Thresholds:
    """When a consumer counts as what.

    Between "held back" and "recovered" lies the window: a slow reader gives it back in lumps of up to half of it,
    so a writer that is free again proves nothing until it has sent more than a whole window without being blocked.
    """

    share_window_seconds: float = 10.0
    """Over how many seconds the blocked share is taken."""
    held_back_share: float = 0.5
    """Held back from this share on."""
    free_share: float = 0.1
    """A writer is free while the share, from one look to the next, is no more than this."""
    stopped_after_seconds: float = 120.0
    """Stopped when one write has been blocked for so long: in that time nothing was read, or, where no ping or other
    frame makes the reader's transport write, less than half a window."""
    check_every_seconds: float = 1.0


@dataclass(slots=True)
class _Trace:
    # arrays, for a server has one of these a stream: as a deque of tuples this came to 2 KB
    looks: array[float] = field(default_factory=lambda: array("d"))
    """Times of the looks of the last `share_window_seconds`, and one before."""
    blocked: array[float] = field(default_factory=lambda: array("d"))
    """For each look, the seconds blocked until then."""
    free_since_bytes: int = 0
    """Bytes that had been sent when writes were last seen blocked: no more can have been in flight then."""
    free_since_messages: int = 0
    seen: SeenWindow = field(default_factory=SeenWindow)
    told_severity: int = 0
    """The worst state told since the consumer last kept up."""

    def last_share(self) -> float:
        """Return the blocked share since the look before this one."""
        if len(self.looks) < 2 or self.looks[-1] <= self.looks[-2]:
            return 0.0
        return (self.blocked[-1] - self.blocked[-2]) / (self.looks[-1] - self.looks[-2])


class ConsumerWatch:
    """Looks at streams from time to time, in the event loop of each; calls `on_event` for each change.

    `on_event` runs with the context variables of whoever has made the watch. What it raises goes to the exception
    handler of the event loop.
    """

    def __init__(
        self,
        ledger: Ledger[SendBook],
        on_event: Callable[[ConsumerEvent], None] | None = None,
        thresholds: Thresholds | None = None,
    ) -> None:
        self._ledger = ledger
        self._on_event = on_event
        self._thresholds = thresholds or Thresholds()
        self._traces: dict[SendBook, _Trace] = {}
        self._variables = copy_context()
        self._watched: WeakKeyDictionary[asyncio.AbstractEventLoop, set[SendBook]] = WeakKeyDictionary()

    def watch(self, book: SendBook) -> None:
        """Look at a stream of the running loop until it is closed."""
        loop = asyncio.get_running_loop()
        books = self._watched.get(loop)
        if books is None:
            books = self._watched[loop] = set()
            # a copy, for two loops in two threads cannot be in one context at a time
            loop.create_task(self._run(loop, books), context=self._variables.copy())  # noqa: RUF006 - kept by its sleep
        books.add(book)

    async def _run(self, loop: asyncio.AbstractEventLoop, books: set[SendBook]) -> None:
        try:
            while books:
                for book in tuple(books):
                    if book.is_open:
                        self._look(loop, book)
                    else:
                        books.discard(book)
                        self.forget(book)
                await asyncio.sleep(self._thresholds.check_every_seconds)
        finally:
            self._watched.pop(loop, None)

    def _look(self, loop: asyncio.AbstractEventLoop, book: SendBook) -> None:
        try:
            self.check(book, self._ledger.clock())
        except Exception as error:
            loop.call_exception_handler({"message": "telling of a consumer has failed", "exception": error})

    def forget(self, book: SendBook) -> None:
        """Keep nothing of a stream that has closed."""
        self._traces.pop(book, None)

    def check(self, book: SendBook, now: float) -> None:
        """Look at one stream at a given time."""
        trace = self._traces.get(book)
        if trace is None:
            trace = self._traces[book] = _Trace()
        share = self._blocked_share(book, trace, now)
        lap = book.writing.lap_seconds(now)
        if lap >= FULL_AFTER_SECONDS:
            trace.seen.look(book.messages, now - lap)
            book.seen_window_messages = trace.seen.messages(book.opened_at, now)
        if trace.last_share() > self._thresholds.free_share:
            trace.free_since_bytes = book.wire_bytes
            trace.free_since_messages = book.messages
        state = self._next_state(book, trace, share, lap)
        if state is book.state:
            return
        book.state = state
        if 0 < _SEVERITY[state] <= trace.told_severity:
            return  # a reader that is slow enough is stopped between two lumps, again and again
        trace.told_severity = _SEVERITY[state]
        became = RECOVERED if state is ConsumerState.KEEPING_UP else state.value
        book.transitions[became] += 1
        if self._on_event is not None:
            self._on_event(_event(became, book, share, lap))

    def _next_state(self, book: SendBook, trace: _Trace, share: float, lap: float) -> ConsumerState:
        if lap >= self._thresholds.stopped_after_seconds:
            return ConsumerState.STOPPED
        if share >= self._thresholds.held_back_share:
            return ConsumerState.HELD_BACK
        if book.state is ConsumerState.KEEPING_UP:
            return book.state
        if lap == 0 and _window_has_gone(book, trace):
            return ConsumerState.KEEPING_UP
        return ConsumerState.HELD_BACK if lap == 0 else book.state

    def _blocked_share(self, book: SendBook, trace: _Trace, now: float) -> float:
        blocked = book.writing.seconds(now)
        looks, blocked_until = trace.looks, trace.blocked
        looks.append(now)
        blocked_until.append(blocked)
        while len(looks) > 2 and now - looks[1] >= self._thresholds.share_window_seconds:
            looks.pop(0)
            blocked_until.pop(0)
        span = now - looks[0]
        if span < self._thresholds.share_window_seconds:
            return 0.0  # too early to tell
        return (blocked - blocked_until[0]) / span


def _window_has_gone(book: SendBook, trace: _Trace) -> bool:
    """Tell whether more than can have been in flight has been sent since writes were last blocked."""
    window = book.identity.window
    if window is not None and window.size_bytes is not None and not book.unsized:
        return book.wire_bytes - trace.free_since_bytes > min(window.size_bytes, trace.free_since_bytes)
    if not book.unsized and book.wire_bytes - trace.free_since_bytes > AUTOTUNED_ENDS_AT_BYTES:
        return True
    sent, enough = book.messages - trace.free_since_messages, trace.seen.enough()
    return sent > (trace.free_since_messages if enough is None else min(enough, trace.free_since_messages))


def _event(became: str, book: SendBook, share: float, lap: float) -> ConsumerEvent:
    window = book.identity.window
    book = book.snapshot()
    return ConsumerEvent(
        became=became,
        client=book.client,
        peer=book.peer,
        method=book.method,
        policy=book.policy,
        blocked_seconds=lap,
        blocked_share=share,
        in_flight_bytes=window.size_bytes if window is not None and lap > 0 else None,
        sent_messages=book.messages,
        waiting_messages=book.waiting,
        dropped_messages=book.dropped,
    )
