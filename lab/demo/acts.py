"""The acts of the demo: what each client does, when it has done it long enough, and what is claimed of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from flowcontrol import Window, wire_bytes
from flowcontrol.window import AUTOTUNED_ENDS_AT_BYTES
from lab.processes.samples import Sample
from lab.slow_reader import KEEPALIVE_TIME_SECONDS, SlowReader
from lab.verdict import Claim, at_least, at_most, between

UPDATES_PER_SECOND = 500
SLOW_SECONDS_PER_UPDATE = 0.033
SLOW_SECONDS = 18.0
"""The act of the slow client."""

TURNS_FAST_AFTER_SECONDS = SLOW_SECONDS + 3
"""The slow client's own clock begins before the act does, on a busy machine a second or two."""

KEEPS_UP_WITHIN_UPDATES = UPDATES_PER_SECOND // 10
"""A client keeps up if it is behind by no more than the updates of a tenth of a second."""

HELD_AFTER_SECONDS = 1.0
"""A client is held back at the latest when a write has been blocked for so long."""

MEMORY_STAYS_WITHIN_BYTES = 4 * 2**20
"""A server that buffered for the slow client would pass this; one that does not moves by the odd allocator page."""

Samples = Sequence[Sample]


@dataclass(frozen=True)
class Act:
    """One stretch of one client's life."""

    name: str
    title: str
    """What a person sees, as a heading of the chart."""
    longest_seconds: float
    is_over: Callable[[Samples], bool]
    claims: Callable[[Samples], list[Claim]]


@dataclass(frozen=True)
class Cast:
    """A client process, and the acts that it plays one after the other."""

    name: str
    processing: str
    window: Window
    acts: tuple[Act, ...]


def program(window: Window, message_bytes: int) -> tuple[Cast, ...]:
    """Return the clients and acts for a fixed window and updates of up to `message_bytes`."""
    slow = f"{SLOW_SECONDS_PER_UPDATE}@{TURNS_FAST_AFTER_SECONDS},none"
    checks = Checks(window, message_bytes)
    return (
        Cast("fast", "none", window, (Act("fast", "keeps up", 6, _lasts(5), checks.fast),)),
        Cast("stopped", "stopped", window, (Act("stopped", "reads nothing", 20, _held(1.5), checks.stopped),)),
        Cast(
            "slow",
            slow,
            window,
            (
                Act("slow", "too slow", SLOW_SECONDS, _lasts(SLOW_SECONDS), checks.slow),
                Act("recovery", "fast again", 15, _caught_up(2), checks.recovery),
            ),
        ),
        Cast(
            "unbounded",
            str(SLOW_SECONDS_PER_UPDATE),
            Window(None),
            (Act("unbounded", "default options", 12, _lasts(11), checks.unbounded),),
        ),
    )


class Checks:
    """The claims, with numbers that are predicted from the window and the size of an update."""

    def __init__(self, window: Window, message_bytes: int) -> None:
        self._window_bytes = window.size_bytes or 0
        self._frame_bytes = wire_bytes(message_bytes)
        self._bound_bytes = window.bound_bytes(message_bytes) or 0
        self._ceiling_updates = window.ceiling_messages(message_bytes) or 0

    def fast(self, samples: Samples) -> list[Claim]:
        """Claim that the client is never behind."""
        return [
            at_most("in flight, at any time", _most(samples, _in_flight), KEEPS_UP_WITHIN_UPDATES, "updates"),
            at_least("updates a second", _rate(samples, _sent), 0.5 * UPDATES_PER_SECOND),
            _nothing_missed(samples),
        ]

    def stopped(self, samples: Samples) -> list[Claim]:
        """Claim that the server stops at the predicted byte."""
        low = self._window_bytes - self._frame_bytes + 1
        return [
            between("bytes sent, in (window - one update, window]", samples[-1].sent_bytes, low, self._window_bytes),
            at_most("updates read", samples[-1].received, 0),
            at_least("seconds that the last write waits", samples[-1].blocked_now_seconds, HELD_AFTER_SECONDS, "s"),
        ]

    def slow(self, samples: Samples) -> list[Claim]:
        """Claim that what is in flight stays bounded, and that the client's pace becomes the server's."""
        held = since_held(samples)
        span = held[-1].at_seconds - held[0].at_seconds
        processed = held[-1].processed - held[0].processed
        come_meanwhile = UPDATES_PER_SECOND * SLOW_SECONDS_PER_UPDATE
        reader = SlowReader(self._ceiling_updates, processed / span, KEEPALIVE_TIME_SECONDS, come_meanwhile)
        memory = [sample.server_memory_bytes for sample in held]
        blocked = (held[-1].blocked_seconds - held[0].blocked_seconds) / span
        return [
            at_most("in flight, at any time", _most(samples, _in_flight_bytes), self._bound_bytes, "bytes"),
            at_least("seconds held back", span, SLOW_SECONDS / 2, "s"),
            between(
                f"sent while {processed:,} were processed",
                held[-1].sent - held[0].sent,
                max(0, math.floor(processed - (reader.most_at_first - reader.least))),
                math.ceil(processed + reader.swing),
                "updates",
            ),
            at_least("share of time that writes are blocked", blocked, 0.9),
            at_most("server's memory grows by", max(memory) - memory[0], MEMORY_STAYS_WITHIN_BYTES, "bytes"),
            _nothing_missed(samples),
        ]

    def recovery(self, samples: Samples) -> list[Claim]:
        """Claim that the same client catches up, with nothing lost."""
        last = samples[-1]
        return [
            at_most("in flight, at the end", last.in_flight, KEEPS_UP_WITHIN_UPDATES, "updates"),
            _nothing_missed(samples),
            at_most("updates that came twice or out of order", last.repeated, 0),
            at_least("updates read, each number once", last.received, self._ceiling_updates),
        ]

    def unbounded(self, samples: Samples) -> list[Claim]:
        """Claim that without a fixed window what is in flight passes the bound, and goes on growing."""
        most = _most(samples, _in_flight_bytes)
        if self._bound_bytes >= AUTOTUNED_ENDS_AT_BYTES:
            return [
                at_most("in flight: less than in this window, by grpc's own limit", most, self._bound_bytes, "bytes")
            ]
        claims = [at_least("in flight passes the bound", most, self._bound_bytes + 1, "bytes")]
        if most < 0.9 * AUTOTUNED_ENDS_AT_BYTES:
            grown = samples[-1].in_flight_bytes - samples[len(samples) * 2 // 3].in_flight_bytes
            claims.append(at_least("and still grows, in the last third by", grown, self._window_bytes // 10, "bytes"))
        else:
            claims.append(
                at_least("and ends where grpc's own tuning does", most, 0.9 * AUTOTUNED_ENDS_AT_BYTES, "bytes")
            )
        return claims


def since_held(samples: Samples) -> Samples:
    """Return the samples from when the client is held back on; the last two where it never is."""
    for number, sample in enumerate(samples[:-2]):
        if sample.blocked_now_seconds >= 0.1 and sample.blocked_seconds >= 0.5:
            return samples[number:]
    return samples[-2:]


def _nothing_missed(samples: Samples) -> Claim:
    return at_most("updates missed", samples[-1].missed, 0)


def _lasts(seconds: float) -> Callable[[Samples], bool]:
    return lambda samples: samples[-1].at_seconds - samples[0].at_seconds >= seconds


def _held(seconds: float) -> Callable[[Samples], bool]:
    return lambda samples: samples[-1].blocked_now_seconds >= seconds


def _caught_up(seconds: float) -> Callable[[Samples], bool]:
    def is_over(samples: Samples) -> bool:
        recent = [s for s in samples if s.at_seconds >= samples[-1].at_seconds - seconds]
        return len(recent) < len(samples) and all(s.in_flight <= KEEPS_UP_WITHIN_UPDATES for s in recent)

    return is_over


def _most(samples: Samples, figure: Callable[[Sample], int]) -> int:
    return max(figure(sample) for sample in samples)


def _rate(samples: Samples, figure: Callable[[Sample], int]) -> float:
    first, last = samples[0], samples[-1]
    return (figure(last) - figure(first)) / (last.at_seconds - first.at_seconds)


def _in_flight(sample: Sample) -> int:
    return sample.in_flight


def _in_flight_bytes(sample: Sample) -> int:
    return sample.in_flight_bytes


def _sent(sample: Sample) -> int:
    return sample.sent
