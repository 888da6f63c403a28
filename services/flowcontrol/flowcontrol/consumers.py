"""Tell when a stream's consumer becomes held back, stops, or recovers."""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field

from flowcontrol.book import RECOVERED, ConsumerState, SendBook
from flowcontrol.ledger import Ledger
from flowcontrol.window import AUTOTUNED_ENDS_AT_BYTES

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
    """Stopped when one write has been blocked for so long: half a window was not read in that time, or nothing."""
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
    told_severity: int = 0
    """The worst state told since the consumer last kept up."""

    def last_share(self) -> float:
        """Return the blocked share since the look before this one."""
        if len(self.looks) < 2 or self.looks[-1] <= self.looks[-2]:
            return 0.0
        return (self.blocked[-1] - self.blocked[-2]) / (self.looks[-1] - self.looks[-2])


class ConsumerWatch:
    """Looks at all open streams of a ledger from time to time; calls `on_event` for each change.

    What `on_event` raises goes to the exception handler of the event loop.
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
        self._task: asyncio.Task[None] | None = None

    def ensure_running(self) -> None:
        """Start looking, in the running loop; it ends by itself when no stream is open."""
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        while books := self._ledger.open_books():
            for book in books:
                try:
                    self.check(book, self._ledger.clock())
                except Exception as error:
                    context = {"message": "telling of a consumer has failed", "exception": error}
                    asyncio.get_running_loop().call_exception_handler(context)
            for closed in self._traces.keys() - set(books):
                del self._traces[closed]
            await asyncio.sleep(self._thresholds.check_every_seconds)
        self._traces.clear()

    def check(self, book: SendBook, now: float) -> None:
        """Look at one stream at a given time."""
        trace = self._traces.get(book)
        if trace is None:
            trace = self._traces[book] = _Trace()
        share = self._blocked_share(book, trace, now)
        lap = book.writing.lap_seconds(now)
        if trace.last_share() > self._thresholds.free_share:
            trace.free_since_bytes = book.wire_bytes
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
        window = book.identity.window
        most_bytes = (window and window.size_bytes) or AUTOTUNED_ENDS_AT_BYTES
        if lap == 0 and book.wire_bytes - trace.free_since_bytes > min(most_bytes, trace.free_since_bytes):
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


def _event(became: str, book: SendBook, share: float, lap: float) -> ConsumerEvent:
    window = book.identity.window
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
