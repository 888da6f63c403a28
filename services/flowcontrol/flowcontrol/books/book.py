"""The running numbers of one stream, at either end."""

from __future__ import annotations

import copy
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, Protocol, Self, TypeAlias

from flowcontrol.identity import Identity

Tally: TypeAlias = dict[str, float]
"""Counts by name; they only rise, and add up over streams."""

BLOCKED_AFTER_SECONDS = 0.001
"""A write that takes longer counts as blocked, for all its time. Unblocked ones take about a tenth of this."""


class ConsumerState(StrEnum):
    """What a sender sees of its consumer."""

    KEEPING_UP = "keeping_up"
    HELD_BACK = "held_back"
    STOPPED = "stopped"


RECOVERED = "recovered"

TRANSITIONS = (ConsumerState.HELD_BACK.value, ConsumerState.STOPPED.value, RECOVERED)
"""What a consumer can become."""


@dataclass(slots=True)
class Stopwatch:
    """Seconds spent in one activity, right also in the middle of it. The caller brings the time."""

    ignore_below_seconds: float = 0.0
    """Laps shorter than this do not count."""
    _state: tuple[float, float | None] = (0.0, None)
    """Seconds of the finished laps, and when the one under way began: one value, for a scrape in another thread must
    not see half of a change."""

    def start(self, now: float) -> None:
        """Begin a lap."""
        self._state = (self._state[0], now)

    def stop(self, now: float) -> None:
        """End the lap; does nothing where none is under way."""
        finished_seconds, started_at = self._state
        if started_at is not None:
            lap = now - started_at
            self._state = (finished_seconds + lap if lap >= self.ignore_below_seconds else finished_seconds, None)

    def lap_seconds(self, now: float) -> float:
        """Return the seconds of the lap under way; 0 where there is none, or one too short to count."""
        return self._lap_seconds(self._state[1], now)

    def seconds(self, now: float) -> float:
        """Return the seconds of all laps, the one under way included."""
        finished_seconds, started_at = self._state
        return finished_seconds + self._lap_seconds(started_at, now)

    def _lap_seconds(self, started_at: float | None, now: float) -> float:
        if started_at is None:
            return 0.0
        lap = now - started_at
        return lap if lap >= self.ignore_below_seconds else 0.0


@dataclass(slots=True, eq=False)
class Book:
    """What one stream has carried: messages, and bytes on the wire (the 5-byte gRPC prefix included).

    A batch counts as the messages that it holds, so that figures of streams with and without batches go together.
    """

    method: str
    identity: Identity
    client: str
    """Label of the client; differs from the declared name where too many are declared."""
    opened_at: float
    messages: int = 0
    batches: int = 0
    """In how many gRPC messages these went: as many, or fewer where some held several."""
    wire_bytes: int = 0
    unsized: int = 0
    """Messages whose bytes on the wire are not known; where there are any, `wire_bytes` is no figure of the stream."""
    is_open: bool = True

    def add(self, wire_bytes: int | None, count: int = 1) -> None:
        """Count one gRPC message, of so many messages and bytes on the wire; None: not known."""
        self.messages += count
        self.batches += 1
        if wire_bytes is None:
            self.unsized += count
        else:
            self.wire_bytes += wire_bytes

    @property
    def balances(self) -> bool:
        """False in the middle of a change: a reader in another thread looks again."""
        return True

    def close(self) -> None:
        """Settle what the end of the stream settles."""
        self.is_open = False

    def snapshot(self) -> Self:
        """Return a copy that the stream changes no more."""
        return copy.copy(self)  # takes all fields at once: no other thread runs in between

    def tally(self, now: float) -> Tally:
        """Return all counts as they stand."""
        return {
            "messages": self.messages,
            "batches": self.batches,
            "bytes": self.wire_bytes,
            "unsized": self.unsized,
        }


class Standing(NamedTuple):
    """What has become of messages that are written in their turn, since the book was last brought up to date."""

    produced: int = 0
    dropped: int = 0
    waiting: int = 0
    """How many wait now."""

    def standing(self) -> Standing:
        """Return itself: what stands still."""
        return self


class Backlog(Protocol):
    """What holds messages until their turn to be written. It brings the book up to date when one is taken."""

    def standing(self) -> Standing:
        """Return what has come since then, and what waits now; may be called in any thread."""


@dataclass(slots=True, eq=False)
class SendBook(Book):
    """A stream seen from the end that sends: a message counts once the transport has accepted it.

    At any moment, in a snapshot: produced = messages + dropped + waiting. In between `produced` and `dropped` of a
    stream with a `buffer` are those of the moment at which it last took a message from there.
    """

    peer: str = ""
    """Address of the client, as grpc names it."""
    policy: str = "pause"
    """What the sender does with messages that its consumer is too slow for."""
    produced: int = 0
    """Messages made for this stream."""
    dropped: int = 0
    """Messages made and never sent: by policy, or because the stream ended."""
    buffer: Backlog | None = None
    """What holds messages that wait for their turn to be written; None where the sender makes one only then."""
    in_write: int = 0
    """Messages handed to the transport and not yet accepted: those of one write, or more where writes were given up in
    the middle."""
    compressed: bool = False
    """Messages may be compressed, so that their bytes on the wire are not known."""
    writing: Stopwatch = field(default_factory=lambda: Stopwatch(BLOCKED_AFTER_SECONDS))
    state: ConsumerState = ConsumerState.KEEPING_UP
    seen_window_messages: int | None = None
    """About how many messages are in flight while a write is blocked, by what has been seen; None: nothing yet."""
    transitions: Counter[str] = field(default_factory=Counter)
    """How often the consumer became held_back, stopped, recovered."""

    @property
    def waiting(self) -> int:
        """Messages that wait in the sender."""
        return self.in_write + self._standing.waiting

    @property
    def balances(self) -> bool:
        """Tell whether each message is accounted for once: not so in the middle of a change."""
        since = self._standing
        return (
            self.produced + since.produced
            == self.messages + self.dropped + since.dropped + self.in_write + since.waiting
        )

    @property
    def _standing(self) -> Standing:
        buffer = self.buffer
        return Standing() if buffer is None else buffer.standing()

    def snapshot(self) -> Self:
        """Return a copy that the stream changes no more."""
        taken = Book.snapshot(self)
        if taken.buffer is not None:
            since = taken.buffer.standing()
            taken.produced += since.produced
            taken.dropped += since.dropped
            taken.buffer = Standing(waiting=since.waiting)
        return taken

    def blocked_in_flight_messages(self, now: float) -> int | None:
        """Return about how many messages are in flight; None: not known, or no write is blocked.

        It is a window's worth, or down to a half of it where the reader gives it back in lumps.
        """
        if self.writing.lap_seconds(now) == 0:
            return None
        window = self.identity.window
        if window is None or window.size_bytes is None or self.unsized or not self.messages:
            return self.seen_window_messages
        return int(window.size_bytes * self.messages / self.wire_bytes)

    def close(self) -> None:
        """Count as dropped what still waits when the stream ends."""
        Book.close(self)
        since = self._standing
        self.produced += since.produced
        self.dropped += since.dropped + since.waiting + self.in_write
        self.in_write = 0
        self.buffer = None
        self.state = ConsumerState.KEEPING_UP

    def tally(self, now: float) -> Tally:
        """Return all counts as they stand, `produced`, `dropped` and `write_blocked_seconds` among them."""
        return {
            **Book.tally(self, now),
            "produced": self.produced,
            "dropped": self.dropped,
            "write_blocked_seconds": self.writing.seconds(now),
            **{f"transitions_{name}": count for name, count in self.transitions.items()},
        }


@dataclass(slots=True, eq=False)
class ReceiveBook(Book):
    """A stream seen from the end that receives: a message counts once the application has it."""

    waiting: Stopwatch = field(default_factory=Stopwatch)
    """In a read, waiting for a message to come."""
    processing: Stopwatch = field(default_factory=Stopwatch)
    """Between two reads: the application is at work, and flow control may hold the sender back."""

    def tally(self, now: float) -> Tally:
        """Return all counts as they stand, `read_waiting_seconds` and `processing_seconds` among them."""
        return {
            **Book.tally(self, now),
            "read_waiting_seconds": self.waiting.seconds(now),
            "processing_seconds": self.processing.seconds(now),
        }
