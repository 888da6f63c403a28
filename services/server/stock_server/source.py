"""Where updates come from: a random walk per ticker, as in the original program."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from functools import lru_cache

from stockservice.stock_pb2 import StockUpdate

DEFAULT_TICKER = "AAPL"
OPEN_PRICE = 150.0
LARGEST_STEP = 2.5
"""A step is uniform between minus and plus this many dollars."""
SPREAD = 2.0
"""High and low are up to this many dollars off the price."""
LOWEST_PRICE = 1.0
"""Where the walk turns back: a price stays positive, so its change in percent always exists."""
VOLUME_BELOW = 10_000
SHARES_OUTSTANDING = 16_000_000_000

_SHARED_RANDOM = random.Random()  # noqa: S311 - prices, not secrets; one of its own would cost each stream 3 KB


class StockSource:
    """Makes the updates of one ticker, one after another, numbered from 1."""

    __slots__ = ("_padding", "_price", "_random", "_sequence", "ticker")

    def __init__(self, ticker: str = DEFAULT_TICKER, padding_bytes: int = 0, seed: int | None = None) -> None:
        self.ticker = ticker
        self._padding = _zeros(padding_bytes)
        self._random = _SHARED_RANDOM if seed is None else random.Random(seed)  # noqa: S311 - prices, not secrets
        self._price = OPEN_PRICE
        self._sequence = 0

    def next(self) -> StockUpdate:
        """Return the next update, made now."""
        draw = self._random
        before = self._price
        price = max(LOWEST_PRICE, before + draw.uniform(-LARGEST_STEP, LARGEST_STEP))
        self._price = price
        self._sequence += 1
        return StockUpdate(
            ticker=self.ticker,
            price=price,
            change=price - before,
            change_percent=(price - before) / before * 100,
            volume=draw.randrange(VOLUME_BELOW),
            open_price=OPEN_PRICE,
            high_price=price + draw.uniform(0, SPREAD),
            low_price=price - draw.uniform(0, SPREAD),
            market_cap=int(price * SHARES_OUTSTANDING),
            timestamp=rfc3339(datetime.now(UTC)),
            sequence=self._sequence,
            padding=self._padding,
        )


@lru_cache(maxsize=1)
def _zeros(count: int) -> bytes:
    return bytes(count)


def rfc3339(moment: datetime) -> str:
    """Return a UTC time as RFC 3339 with milliseconds, always of the same length."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
