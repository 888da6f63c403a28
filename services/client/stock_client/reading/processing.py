"""How long the client works on each update: nothing, a fixed or random time, for ever, or one after the other."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain

from servicekit.values import LONGEST_SECONDS

GRAMMAR = (
    "'none', seconds as '0.25', 'random' (a whole 1, 2 or 3 s), 'random:0.5-2' (uniform), 'stopped' (reads nothing), "
    "or phases of so many seconds as '0.25@60,none'"
)


@dataclass(frozen=True)
class Phase:
    """A way of processing, and for how many seconds it lasts; the last one lasts for ever."""

    kind: str
    draw_seconds: Callable[[], float] | None
    """Returns the seconds that the next update takes; None: stopped, nothing is read at all."""
    lasts_seconds: float = float("inf")


@dataclass(frozen=True)
class Processing:
    """A schedule of phases."""

    phases: tuple[Phase, ...]

    @classmethod
    def parse(cls, text: str) -> Processing:
        """Read a schedule as `GRAMMAR` says. Raises ValueError."""
        *timed, last = (part.strip() for part in text.split(","))
        return cls(tuple(chain((_timed_phase(part) for part in timed), [_phase(last)])))

    @property
    def takes_no_time(self) -> bool:
        """Whether nothing is ever waited for."""
        return self.phases == (NOTHING,)

    def at(self, elapsed_seconds: float) -> tuple[Phase, float]:
        """Return the phase so many seconds after the start, and the seconds that remain of it."""
        ends_at = 0.0
        for phase in self.phases:
            ends_at += phase.lasts_seconds
            if elapsed_seconds < ends_at:
                break
        return phase, ends_at - elapsed_seconds


NOTHING = Phase("none", lambda: 0.0)


def _timed_phase(text: str) -> Phase:
    what, at, seconds = text.partition("@")
    if not at:
        raise ValueError(f"a phase that is not the last needs its seconds, as '{text}@60'")
    phase = _phase(what)
    return Phase(phase.kind, phase.draw_seconds, _seconds(seconds))


def _phase(text: str) -> Phase:
    kind, _, argument = text.partition(":")
    if text == NOTHING.kind:
        return NOTHING
    if text == "stopped":
        return Phase(text, None)
    if text == "random":
        return Phase(text, lambda: float(random.randint(1, 3)))  # noqa: S311 - a load, not a secret
    if kind == "random" and "-" in argument:
        low, high = (_seconds(end) for end in argument.split("-", 1))
        if low > high:
            raise ValueError(f"in '{text}' the first number must be the smaller one")
        return Phase(text, lambda: random.uniform(low, high))  # noqa: S311 - a load, not a secret
    seconds = _seconds(text)
    return Phase(text, lambda: seconds)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        raise ValueError(f"no processing time: '{text}'") from None
    if not 0 <= seconds <= LONGEST_SECONDS:
        raise ValueError(f"seconds are 0 to {LONGEST_SECONDS}: '{text}'")
    return seconds
