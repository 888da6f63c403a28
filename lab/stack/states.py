"""What a client is, as Prometheus has recorded it: the codes of `client:flowcontrol_state:code`."""

from __future__ import annotations

import math
from enum import IntEnum

STATE = "client:flowcontrol_state:code"
"""The recorded series; obs/prometheus/rules/state.yml defines it."""


class State(IntEnum):
    """One value a client, the worst of its streams."""

    GONE = 0
    KEEPING_UP = 1
    HELD_BACK = 2
    STOPPED = 3
    WORKING_OFF = 4
    NO_STREAM = 5
    NOT_KNOWN = 6

    @classmethod
    def of(cls, code: float) -> State:
        """Return the state of a code; without one, and for one of another version, nothing is known."""
        known = not math.isnan(code) and code in set(cls)
        return cls(int(code)) if known else cls.NOT_KNOWN

    @property
    def has_stream(self) -> bool:
        """Whether a server has a stream of it."""
        return self in (State.KEEPING_UP, State.HELD_BACK, State.STOPPED)

    @property
    def is_held_back(self) -> bool:
        """Whether a server waits for it."""
        return self in (State.HELD_BACK, State.STOPPED)

    @property
    def words(self) -> str:
        """What to tell a person."""
        return _WORDS[self]


_WORDS = {
    State.GONE: "gone: no server has a stream of it, and no process of that name is scraped",
    State.KEEPING_UP: "keeping up",
    State.HELD_BACK: "held back",
    State.STOPPED: "stopped: held back, and it reads nothing",
    State.WORKING_OFF: "working off an ended stream: it reads what was in flight",
    State.NO_STREAM: "without a stream: it runs, and is refused or finds no server",
    State.NOT_KNOWN: "not known: the server, or it, cannot be asked",
}
