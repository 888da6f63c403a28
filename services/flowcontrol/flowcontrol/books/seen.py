"""What a sender has itself seen of its consumer's window, for a consumer that declares none."""

from __future__ import annotations

from dataclasses import dataclass

FEWEST_LUMPS = 2
"""How often the window must have been given back before that says how much it is at a time."""

MORE_THAN_A_LUMP = 1.5
"""A consumer that is free for so many of its largest lumps does not give back another one: it reads."""


@dataclass(slots=True)
class SeenWindow:
    """When writes of one stream were found blocked, and how many messages had been sent then.

    Each time a block begins the window is full. So what was sent between two such times was read between them, at a
    pace, and the window is what had been sent by the first, less what was read until then at that pace.
    """

    filled_at: float | None = None
    """When the window was full for the first time, in seconds of the ledger's clock; None: it was not yet."""
    filled_messages: int = 0
    full_again_at: float = 0.0
    full_again_messages: int = 0
    lumps: int = 0
    largest_lump: int = 0
    """The most messages that have gone from one block to the next."""

    def look(self, messages: int, blocked_since: float) -> None:
        """Take in that a write has been blocked since then, and how many messages had been sent."""
        if self.filled_at is None:
            self.filled_at = self.full_again_at = blocked_since
            self.filled_messages = self.full_again_messages = messages
        elif messages > self.full_again_messages:
            self.lumps += 1
            self.largest_lump = max(self.largest_lump, messages - self.full_again_messages)
            self.full_again_at = blocked_since
            self.full_again_messages = messages

    def messages(self, opened_at: float, now: float) -> int | None:
        """Return about how many messages are in flight when a write is blocked; None: nothing has been seen of it.

        It is the window, or down to a half of it where what has been read is given back in lumps.
        """
        if self.filled_at is None or (not self.lumps and now - self.filled_at < self.filled_at - opened_at):
            return None  # at what pace it was read while it filled is not known yet
        seconds = self.full_again_at - self.filled_at
        pace = (self.full_again_messages - self.filled_messages) / seconds if seconds > 0 else 0.0
        return max(1, round(self.filled_messages - pace * (self.filled_at - opened_at)))

    def enough(self) -> float | None:
        """Return after how many messages without a block the consumer reads again; None: nothing has been seen."""
        if self.lumps >= FEWEST_LUMPS:
            return MORE_THAN_A_LUMP * self.largest_lump
        return None if self.filled_at is None else self.filled_messages
