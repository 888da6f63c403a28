"""The log of the updates: a line each, and beyond a rate a summary each second in their place."""

from __future__ import annotations

import asyncio
import math

import structlog

from stockservice.stock_pb2 import StockUpdate

SECOND = 1.0

log = structlog.get_logger()


class UpdateLog:
    """Logs what has been processed; above `most_per_second` lines a second it sums up, and says so.

    0: it always sums up. All calls come from the event loop.
    """

    def __init__(self, most_per_second: int) -> None:
        self._most_per_second = most_per_second
        self.sums_up = most_per_second == 0
        """Whether the updates have no lines of their own now."""
        self._in_second = 0
        self._summed = 0
        self._oldest_seconds = 0.0
        self._last: StockUpdate | None = None
        self._timer: asyncio.TimerHandle | None = None

    def note(self, update: StockUpdate, age_seconds: float, updates: int = 1) -> None:
        """Log an update that has been processed, or the last of several that were at once."""
        self._in_second += updates
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(SECOND, self._end_second)
        if not self.sums_up:
            if self._in_second <= self._most_per_second and updates == 1:
                _log_one(update, age_seconds)
                return
            self.sums_up = True
            log.info(
                "log.summary.started",
                most_per_second=self._most_per_second,
                consequence="a line each second in place of one each update (--log-updates-per-second)",
            )
        self._summed += updates
        self._last = update
        if age_seconds > self._oldest_seconds:
            self._oldest_seconds = age_seconds

    def close(self) -> None:
        """Log what has not been told yet."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._sum_up()

    def _end_second(self) -> None:
        in_second, self._in_second = self._in_second, 0
        self._sum_up()
        if self.sums_up and 0 < self._most_per_second >= in_second:
            self.sums_up = False
            log.info("log.summary.ended")
        goes_on = in_second > 0
        self._timer = asyncio.get_running_loop().call_later(SECOND, self._end_second) if goes_on else None

    def _sum_up(self) -> None:
        last = self._last
        if last is None:
            return
        log.info(
            "updates.processed",
            updates=self._summed,
            oldest_seconds=round(self._oldest_seconds, 3),
            last_ticker=last.ticker,
            last_price=round(last.price, 2),
            last_sequence=last.sequence,
        )
        self._summed, self._oldest_seconds, self._last = 0, 0.0, None


def _log_one(update: StockUpdate, age_seconds: float) -> None:
    log.info(
        "update.processed",
        ticker=update.ticker,
        price=round(update.price, 2),
        change_percent=round(update.change_percent, 3),
        sequence=update.sequence,
        age_seconds=None if math.isnan(age_seconds) else round(age_seconds, 3),
    )
