"""Where updates come from: a random walk per ticker, as in the original program."""

from __future__ import annotations

import random
import time
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
    """Makes the updates of one ticker, one after another, numbered from 1 on, or from where it stopped."""

    __slots__ = ("_draw", "_padding", "_price", "_sequence", "ticker")

    def __init__(self, ticker: str = DEFAULT_TICKER, padding_bytes: int = 0, seed: int | None = None) -> None:
        self.ticker = ticker
        self._padding = _zeros(padding_bytes)
        # `random` alone, for `uniform` and `randrange` are Python that calls it
        self._draw = (_SHARED_RANDOM if seed is None else random.Random(seed)).random  # noqa: S311 - prices, not secrets
        self._price = OPEN_PRICE
        self._sequence = 0

    def go_on(self, sequence: int, price: float = OPEN_PRICE) -> None:
        """Go on behind an update with this number and price."""
        self._sequence = sequence
        self._price = price

    def next(self) -> StockUpdate:
        """Return the next update, made now."""
        draw = self._draw
        before = self._price
        price = before + LARGEST_STEP * (2.0 * draw() - 1.0)
        if price < LOWEST_PRICE:
            price = LOWEST_PRICE
        self._price = price
        self._sequence += 1
        return StockUpdate(
            ticker=self.ticker,
            price=price,
            change=price - before,
            change_percent=(price - before) / before * 100,
            volume=int(VOLUME_BELOW * draw()),
            open_price=OPEN_PRICE,
            high_price=price + SPREAD * draw(),
            low_price=price - SPREAD * draw(),
            market_cap=int(price * SHARES_OUTSTANDING),
            timestamp=rfc3339(int(time.time() * 1000)),
            sequence=self._sequence,
            padding=self._padding,
        )


@lru_cache(maxsize=1)
def _zeros(count: int) -> bytes:
    return bytes(count)


@lru_cache(maxsize=8)  # of updates that are made in the same millisecond all but the first find it here
def rfc3339(milliseconds: int) -> str:
    """Return Unix time in milliseconds as RFC 3339, in UTC, always of the same length."""
    seconds, rest = divmod(milliseconds, 1000)
    return f"{_second(seconds)}.{rest:03d}Z"


@lru_cache(maxsize=2)
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
