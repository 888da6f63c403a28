"""What is expected of a fast and of a slow client, in numbers that Prometheus has recorded."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from flowcontrol import Thresholds
from lab.slow_reader import SlowReader
from lab.stack.observed import Observed
from lab.verdict import ActVerdict, Claim, at_least, at_most, between

MEASURING_ERROR_UPDATES = 10
"""Both ends are scraped at different times; recorded figures allow for that, up to this and one second's updates."""

FREE_SHARE = Thresholds().held_back_share
"""From this share of time on in which writes to it are blocked, the server calls a client held back.

One that keeps up shows a few percent, and more on a busy machine: a write that waits for the processor counts too.
"""

BLOCKED_SHARE = 0.9
"""Share of time, beside that for sending, in which writes to a client that is held back are blocked."""


@dataclass(frozen=True)
class Readiness:
    """How far a client is from having shown enough, and what is missing."""

    done: float
    """0 to 1."""
    why: str


@dataclass(frozen=True)
class Role:
    """A kind of client: when there is enough of it to judge, and what it is judged by."""

    name: str
    readiness: Callable[[Observed, float], Readiness]
    """Takes the client and the seconds that are to be judged."""
    judge: Callable[[Observed, float, float], ActVerdict]
    """Takes the client, the seconds to judge, and how many updates a second the server offers."""


def of_another_state(client: Observed) -> ActVerdict:
    """Return the verdict on a client that has no open stream, or none that both ends know: one claim that fails."""
    state = client.state.name.lower().replace("_", " ")
    claim = Claim(f"has an open stream: {client.words}", state, "keeping up or held back", passed=False)
    return _verdict(client, [claim])


def fast_readiness(client: Observed, seconds: float) -> Readiness:
    """Return how much there is of the seconds, and of as many before them.

    The recorded figures allow for the time between scrapes by rates that look back a minute: these must settle.
    """
    span = min(client.span_seconds, 2 * seconds)
    return Readiness(span / (2 * seconds), f"{client.name}: {span:.0f} of {2 * seconds:.0f} s of data")


def slow_readiness(client: Observed, seconds: float) -> Readiness:
    """Return how full its window is; once it is held back, how much of the seconds there is."""
    held = client.since_held_back()
    if held is None:
        in_flight, ceiling = client.last("in_flight"), client.last("ceiling")
        if math.isnan(in_flight) or math.isnan(ceiling):
            return Readiness(0.0, f"{client.name}: not held back yet, and no ceiling to wait for")
        full = min(1.0, in_flight / ceiling)
        return Readiness(full / 2, f"{client.name}: its window fills, {in_flight:,.0f} of {ceiling:,.0f} updates")
    span = min(held.span_seconds, seconds)
    return Readiness(0.5 + span / seconds / 2, f"{client.name}: held back, {span:.0f} of {seconds:.0f} s of data")


def judge_fast(client: Observed, seconds: float, offered_per_second: float) -> ActVerdict:
    """Claim that the client is never behind, and is never waited for."""
    seen = client.newest(seconds)
    sent = seen.grown("sent")
    error = measuring_error(seen, "sent")
    return _verdict(
        seen,
        [
            at_most("in flight, at any time", seen.most("in_flight"), round_up(error), "updates"),
            between(
                f"processed while {_count(sent)} were sent",
                seen.grown("processed"),
                round_up(0.9 * sent - error),
                round_up(1.1 * sent + error),
                "updates",
            ),
            at_most("share of time that writes are blocked", _blocked_share(seen), FREE_SHARE),
            *_nothing_lost(seen),
        ],
    )


def judge_slow(client: Observed, seconds: float, offered_per_second: float) -> ActVerdict:
    """Claim that what is in flight is bounded, and that the client's pace has become the server's."""
    held = client.since_held_back()
    seen = (held or client).newest(seconds)
    processed, sent = seen.grown("processed"), seen.grown("sent")
    ahead = slow_reader(seen).swing + measuring_error(seen, "processed")
    sending = sent / (offered_per_second * seen.span_seconds) if offered_per_second and seen.span_seconds else 0.0
    return _verdict(
        client,
        [
            at_least("seconds held back", held.span_seconds if held else 0.0, 0.9 * seconds, "s"),
            at_most("in flight, at any time", client.most("in_flight_bytes"), client.last("bound_bytes"), "bytes"),
            between(
                f"sent while {_count(processed)} were processed, of {_count(offered_per_second * seen.span_seconds)}",
                sent,
                0,
                round_up(processed + ahead),
                "updates",
            ),
            at_least("share of time that writes are blocked", _blocked_share(seen), BLOCKED_SHARE - sending),
            *_nothing_lost(seen),
        ],
    )


FAST = Role("fast", fast_readiness, judge_fast)
SLOW = Role("slow", slow_readiness, judge_slow)


def offered_per_second(clients: Sequence[Observed]) -> float:
    """Return the highest rate at which any client has been sent to: that is what the server offers each."""
    rates = (client.most("sent_per_second") for client in clients)
    return max((rate for rate in rates if not math.isnan(rate)), default=0.0)


def slow_reader(client: Observed) -> SlowReader:
    """Return the client as a slow reader, by its pace in this time and how often it and its server ping each other."""
    pace = client.grown("processed") / client.span_seconds if client.span_seconds else math.nan
    return SlowReader(client.last("ceiling"), pace, client.most("ping_seconds"))


def measuring_error(client: Observed, figure: str) -> float:
    """Return by how many updates two figures may differ that are scraped at different times."""
    second = client.grown(figure) / client.span_seconds if client.span_seconds else math.nan
    return MEASURING_ERROR_UPDATES + second


def round_up(updates: float) -> float:
    """Return a whole number of updates."""
    return math.ceil(updates) if math.isfinite(updates) else updates


def _nothing_lost(client: Observed) -> list[Claim]:
    return [
        at_most("updates missed", round_up(client.most("missed")), 0),
        at_most("received, and never sent", client.nearest_to_zero("received_unaccounted"), 0),
        at_most("produced, and neither sent, dropped nor waiting", client.nearest_to_zero("produced_unaccounted"), 0),
    ]


def _blocked_share(client: Observed) -> float:
    # from scrape to scrape: a late one would make a short span shorter, or longer
    seconds = client.grown("blocked_at")
    return client.grown("blocked_seconds") / seconds if seconds else math.nan


def _verdict(client: Observed, claims: list[Claim]) -> ActVerdict:
    ceiling = client.last("ceiling") * client.last("wire_bytes")
    return ActVerdict(
        name=client.name,
        passed=all(claim.passed for claim in claims),
        sent=_whole(client.last("sent")),
        received=_whole(client.last("processed")),
        missed=_whole(client.most("missed")),
        in_flight_max=_whole(client.most("in_flight")),
        in_flight_bytes_max=_whole(client.most("in_flight_bytes")),
        ceiling_bytes=_whole(ceiling),
        claims=claims,
    )


def _whole(figure: float) -> int | None:
    return None if math.isnan(figure) else round(figure)


def _count(updates: float) -> str:
    return "an unknown number" if math.isnan(updates) else f"{updates:,.0f}"
