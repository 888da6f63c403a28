"""What is claimed of each slow-consumer policy, for the same slow client of the same feed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from flowcontrol import Window, wire_bytes
from lab.processes.samples import Sample
from lab.verdict import Claim, at_least, at_most, between

UPDATES_PER_SECOND = 100
SECONDS_PER_UPDATE = 0.04
ACT_SECONDS = 24.0
BUFFER_UPDATES = 128
DISCONNECT_AFTER_SECONDS = 2.0
UPDATE_PADDING_BYTES = 900
"""Larger updates: a window of 16 KiB then holds few of them, so that the policies differ and not the windows."""

MEASURING_ERROR_UPDATES = UPDATES_PER_SECOND // 10
"""A scrape reads one figure after the other, of a server that goes on."""

SLACK = 1.5
"""A busy machine takes longer over an update than it was told."""

MEASURING_ERROR_SECONDS = 0.5

Samples = Sequence[Sample]


@dataclass(frozen=True)
class PolicyAct:
    """One policy, and what is claimed of a slow client that has it."""

    policy: str
    title: str
    oldest_seconds: float
    """Predicted age of the oldest update that the client works on."""
    claims: Callable[[Samples], list[Claim]]


def program(window: Window, message_bytes: int) -> tuple[PolicyAct, ...]:
    """Return an act for each policy, for clients with a fixed window and updates of up to `message_bytes`."""
    in_flight = window.bound_messages(message_bytes) or 0
    interval = 1 / UPDATES_PER_SECOND
    held_seconds = interval + (in_flight + 1) * SECONDS_PER_UPDATE
    """Nothing in flight is older, once the update made last is the next to be sent."""
    buffered_seconds = held_seconds + BUFFER_UPDATES * interval
    checks = _Checks(window.bound_bytes(message_bytes) or 0, wire_bytes(message_bytes))
    return (
        PolicyAct("pause", "the source waits", held_seconds, checks.of_pause(held_seconds)),
        PolicyAct("conflate", "the newest, fresh", held_seconds, checks.of_dropping(held_seconds)),
        PolicyAct("drop-oldest", "the last ones", buffered_seconds, checks.of_dropping(buffered_seconds)),
        PolicyAct("disconnect", "cut off, told why", buffered_seconds, checks.of_disconnect(buffered_seconds)),
    )


class _Checks:
    def __init__(self, bound_bytes: int, frame_bytes: int) -> None:
        self._bound_bytes = bound_bytes
        self._frame_bytes = frame_bytes

    def of_pause(self, oldest_seconds: float) -> Callable[[Samples], list[Claim]]:
        def claims(samples: Samples) -> list[Claim]:
            made = samples[-1].produced - samples[0].produced
            offered = (samples[-1].at_seconds - samples[0].at_seconds) * UPDATES_PER_SECOND
            return [
                at_most("updates dropped", samples[-1].dropped, 0),
                at_most("share of the updates due that were made at all", made / offered, 0.5),
                *self._of_all(samples, oldest_seconds),
            ]

        return claims

    def of_dropping(self, oldest_seconds: float) -> Callable[[Samples], list[Claim]]:
        def claims(samples: Samples) -> list[Claim]:
            made = samples[-1].produced - samples[0].produced
            due = (samples[-1].at_seconds - samples[0].at_seconds) * UPDATES_PER_SECOND
            return [
                at_least("updates dropped", samples[-1].dropped, 1),
                between("updates made, for all that is held back", made, 0.5 * due, 1.2 * due),
                *self._of_all(samples, oldest_seconds),
            ]

        return claims

    def of_disconnect(self, oldest_seconds: float) -> Callable[[Samples], list[Claim]]:
        def claims(samples: Samples) -> list[Claim]:
            return [
                at_least("times cut off and back again", samples[-1].reconnects, 1),
                at_least("updates dropped", samples[-1].dropped, 1),
                *self._of_all(samples, oldest_seconds),
            ]

        return claims

    def _of_all(self, samples: Samples, oldest_seconds: float) -> list[Claim]:
        last = samples[-1]
        unaccounted = max(abs(s.produced - s.sent - s.dropped - s.waiting) for s in samples)
        in_flight = max(s.in_flight_bytes for s in samples)
        oldest = max(s.working_age_seconds for s in samples)
        return [
            at_most("oldest update worked on", oldest, SLACK * oldest_seconds + MEASURING_ERROR_SECONDS, "s"),
            at_most("in flight, at any time", in_flight, self._bound_bytes + self._frame_bytes, "bytes"),
            at_most("made - sent - dropped - waiting", unaccounted, MEASURING_ERROR_UPDATES, "updates"),
            at_most("updates missed, with no policy to explain it", last.missed, 0),
        ]
