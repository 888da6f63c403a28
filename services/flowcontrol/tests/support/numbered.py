"""A log whose messages are what they are about, and their number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from flowcontrol import LogBounds, MessageLog

Numbers = tuple[str, int]


class Numbered(MessageLog[Numbers]):
    """Numbers the messages of each key from 1."""

    def __init__(
        self, bounds: LogBounds | None = None, *, size: int = 1, clock: Callable[[], float] = lambda: 0.0
    ) -> None:
        super().__init__(bounds, size_of=lambda message: size, clock=clock)
        self.made: Counter[str] = Counter()

    def put(self, key: str) -> Numbers:
        """Append the next message of a key."""
        self.append(key, self.made[key] + 1, message := (key, self.made[key] + 1))
        self.made[key] += 1
        return message
