"""A slow reader: how much of its window it gives back at once, and so what is in flight to it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from flowcontrol.window import LIBRARY_HELD_MESSAGES
from stock_client.settings import ClientSettings
from stock_server.settings import ServerSettings

KEEPALIVE_TIME_SECONDS = min(
    float(settings.model_fields["keepalive_time_seconds"].default) for settings in (ServerSettings, ClientSettings)
)
"""How often server and client ping each other, unless it is set otherwise."""


@dataclass(frozen=True)
class SlowReader:
    """A reader that takes the same time for every update, and is too slow.

    Its transport tells the server what has been read once that is half of the window, or with whatever else it has to
    send: a ping, or the answer to one. Updates that come while the reader works on one it may give back unread, for it
    looks at what lies there only when the next one is read. Measured: `tests/lab/predict/test_staircase.py`.
    """

    ceiling: float
    """Updates that the window holds."""
    read_per_second: float
    ping_seconds: float
    """How often the end pings that does so more often, for the other then need not (grpc counts from the last byte that
    has come); infinite: never. NaN: not known, as if none did."""
    come_meanwhile: float = math.inf
    """Updates that can come while it works on one, where nothing holds them back."""

    @property
    def step(self) -> float:
        """Updates that it reads, at most, before it gives them back."""
        half = self.ceiling / 2
        if not math.isfinite(self.ping_seconds):
            return half
        return min(half, max(1.0, self.read_per_second * self.ping_seconds))

    @property
    def least(self) -> float:
        """Updates in flight, at least: a step has been read and not yet been given back."""
        return self.ceiling - self.step

    @property
    def most(self) -> float:
        """Updates in flight, at most, once what came at first has been worked off."""
        return self.ceiling + min(self.step, self.come_meanwhile) + LIBRARY_HELD_MESSAGES

    @property
    def most_at_first(self) -> float:
        """Updates in flight, at most, just after the window was filled; with `come_meanwhile` unknown, the bound."""
        return self.ceiling + min(self.ceiling, self.come_meanwhile) + LIBRARY_HELD_MESSAGES

    @property
    def swing(self) -> float:
        """Updates that the server sends, at most, between two looks at it beyond what was read meanwhile."""
        return self.most - self.least
