"""An event loop for what takes time: nobody waits, and no busy machine makes anything late."""

from __future__ import annotations

import asyncio
import selectors


class SkippingLoop(asyncio.SelectorEventLoop):
    """Its time stands still but while there is nothing to do, and then it is at once when something is due."""

    def __init__(self) -> None:
        self._waiting = _Skipping()
        super().__init__(self._waiting)

    def time(self) -> float:
        """Return the seconds that have been skipped so far."""
        return self._waiting.seconds


class _Skipping(selectors.DefaultSelector):  # type: ignore[misc, valid-type]
    seconds = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready: list[tuple[selectors.SelectorKey, int]] = super().select(0 if timeout else timeout)
        if timeout and not ready:
            self.seconds += timeout
        return ready
