"""What a fault is played in: where its logs go, how much of it there is, and how a row tells what it does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import httpx

from lab.console import Say

State = TypeVar("State")

FULL_SOON = ("--keep-updates", "1000")
"""Of a server whose memory is looked at: its feed's log is full from early on, for one that fills is no leak."""


class NotTestedError(Exception):
    """The machine lacks what a fault takes; the text says what."""


class TookTooLongError(Exception):
    """What a row waits for did not come."""


@dataclass(frozen=True)
class Scene:
    """Where a row plays."""

    folder: Path
    """For the logs of its processes."""
    quick: bool
    http: httpx.AsyncClient
    say: Say

    def many(self, full: int, quick: int) -> int:
        """Return how many there are to be: in full, or quickly."""
        return quick if self.quick else full

    def long(self, full: float, quick: float) -> float:
        """Return for how many seconds it is to last."""
        return quick if self.quick else full


async def until(
    probe: Callable[[], Awaitable[State]],
    condition: Callable[[State], object],
    within_seconds: float,
    what: str,
    every_seconds: float = 0.05,
) -> tuple[State, float]:
    """Return the first state that meets a condition, and the seconds until it did. Raises TookTooLongError.

    What cannot be asked, for instance of a process that hangs, meets no condition.
    """
    began_at = time.monotonic()
    last: object = "nothing"
    while True:
        try:
            last = state = await probe()
            if condition(state):
                return state, time.monotonic() - began_at
        except (httpx.HTTPError, OSError) as error:
            last = error
        if time.monotonic() - began_at > within_seconds:
            raise TookTooLongError(f"not within {within_seconds:g} s: {what}; at last {last!r}")
        await asyncio.sleep(every_seconds)
