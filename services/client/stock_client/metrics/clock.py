"""The server's clock beside the client's: where the two disagree an age is not known, and that is said."""

from __future__ import annotations

import math

import structlog

TOLERANCE_SECONDS = 1.0
"""Two clocks of hosts that are kept in time differ by less; below it an update from the future counts as new."""

log = structlog.get_logger()


class ServerClock:
    """Tells how old an update is, and how far the server's clock is ahead, as far as that shows.

    A clock that is behind makes data look old, which it may also be: that cannot be told apart.
    """

    def __init__(self) -> None:
        self.ahead_seconds = 0.0
        """How far in the future the last update was made; 0: it was not."""

    def age(self, made_at: float | None, now: float) -> float:
        """Return the age in seconds of an update; NaN: not known. Both are Unix times."""
        if made_at is None:
            return math.nan
        age = now - made_at
        if age >= -TOLERANCE_SECONDS:
            if self.ahead_seconds:
                self._note(0.0)
            return age if age > 0.0 else 0.0
        self._note(-age)
        return math.nan

    def _note(self, ahead_seconds: float) -> None:
        if not self.ahead_seconds:
            log.warning("clock.ahead", seconds=round(ahead_seconds, 1), consequence="how old updates are is not known")
        elif not ahead_seconds:
            log.warning("clock.agrees", was_ahead_seconds=round(self.ahead_seconds, 1))
        self.ahead_seconds = ahead_seconds
