"""When updates are due, and how streams learn that the server drains."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator


class Pace:
    """Beats at an interval until it is stopped; all streams share one, so that one stop ends them all."""

    def __init__(self, interval_seconds: float, initial_delay_seconds: float = 0.0) -> None:
        self._interval_seconds = interval_seconds
        self._initial_delay_seconds = initial_delay_seconds
        self._stopped = asyncio.Event()

    def stop(self) -> None:
        """End all beats, those that wait included."""
        self._stopped.set()

    async def initial_delay(self) -> None:
        """Wait for the initial delay of a stream, or until the pace is stopped."""
        await self._stopped_before(asyncio.get_running_loop().time() + self._initial_delay_seconds)

    async def beats(self) -> AsyncIterator[None]:
        """Yield at each beat, the first at once, until the pace is stopped.

        Who comes back late, held back by a slow client, gets the next beat at once; beats missed are not made up for.
        """
        loop = asyncio.get_running_loop()
        due = loop.time()
        while not await self._stopped_before(due):
            yield
            due = max(due + self._interval_seconds, loop.time())

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
