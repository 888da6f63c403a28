"""When updates are due, and how streams learn that the server drains."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

MAKE_UP_SECONDS = 0.02
"""A busy event loop comes back so late, and no reader is slow for that; a write that is blocked takes longer."""


class Pace:
    """Beats at an interval until it is stopped; all streams share one, so that one stop ends them all."""

    def __init__(self, interval_seconds: float, initial_delay_seconds: float = 0.0) -> None:
        self._interval_seconds = interval_seconds
        self._initial_delay_seconds = initial_delay_seconds
        self._stopped = asyncio.Event()

    @property
    def stopped(self) -> bool:
        """Whether it has been stopped."""
        return self._stopped.is_set()

    async def stopped_within(self, seconds: float) -> bool:
        """Wait so long, or until the pace is stopped; tell whether it is."""
        return await self._stopped_before(asyncio.get_running_loop().time() + seconds)

    def stop(self) -> None:
        """End all beats, those that wait included."""
        self._stopped.set()

    async def initial_delay(self) -> None:
        """Wait for the initial delay of a stream, or until the pace is stopped."""
        await self._stopped_before(asyncio.get_running_loop().time() + self._initial_delay_seconds)

    @property
    def goes_on(self) -> bool:
        """Whether the next beat is due at once, whenever that is."""
        return self._interval_seconds == 0

    async def beats(self, most: int = 1) -> AsyncIterator[int]:
        """Yield at each beat, the first at once, until the pace is stopped; yield how many are due, at most so many.

        Who comes back late, held back by a slow client, gets the next beat at once; beats missed are not made up for,
        but for the last ones of who takes several: those of `MAKE_UP_SECONDS`.
        """
        loop = asyncio.get_running_loop()
        interval = self._interval_seconds
        make_up_seconds = MAKE_UP_SECONDS if most > 1 else 0.0
        due = loop.time()
        while not await self._stopped_before(due):
            beats = most if interval == 0 else int(min(most, 1 + (loop.time() - due) / interval))
            yield beats
            due = max(due + beats * interval, loop.time() - make_up_seconds)

    async def _stopped_before(self, due: float) -> bool:
        delay = due - asyncio.get_running_loop().time()
        if delay <= 0 or self._stopped.is_set():
            return self._stopped.is_set()
        try:
            async with asyncio.timeout(delay):
                await self._stopped.wait()
        except TimeoutError:
            return False
        return True
