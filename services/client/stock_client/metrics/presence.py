"""Whether the client has a stream, by its own account, and since when it has had none."""

from __future__ import annotations

import time
from collections.abc import Callable


class Presence:
    """A stream counts from the server's first answer until its call is done, which one that is worked off is not yet.

    Who has had none for longer than `ready_within_seconds` is not ready.
    """

    def __init__(self, ready_within_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.ready_within_seconds = ready_within_seconds
        self.last_end = "no server has answered yet"
        """What ended the last stream, or attempt at one."""
        self._clock = clock
        self._without_since: float | None = clock()

    def begin(self) -> None:
        """Note that the server has answered."""
        self._without_since = None

    def end(self) -> None:
        """Note the end of a stream, or of an attempt at one."""
        if self._without_since is None:
            self._without_since = self._clock()

    def without_stream_seconds(self) -> float:
        """Return for how long the client has had no stream; 0: it has one."""
        since = self._without_since
        return 0.0 if since is None else max(self._clock() - since, 1e-6)  # 0 has a meaning of its own

    def problem(self) -> str | None:
        """Return why the client is not ready, or None where it is."""
        seconds = self.without_stream_seconds()
        if seconds <= self.ready_within_seconds:
            return None
        return f"no stream for {seconds:.0f} s, at most {self.ready_within_seconds:g} s are allowed; {self.last_end}"
