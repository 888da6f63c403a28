"""What is in the market's stream, asked of NATS."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from stockfeed.connection import FeedError
from stockfeed.jetstream import StreamState, opened
from stockservice.stock_pb2 import StockUpdate

from processes import Service
from waiting import until_blocking

FAST = ("--update-interval-seconds", "0.01", "--takeover-seconds", "0.5", "--backoff-max-seconds", "0.2")

Starter = Callable[..., Service]
"""Starts a market, on the NATS at a URL and with these flags."""


def stored(url: str, stream: str) -> list[StockUpdate]:
    """Return all that the stream keeps."""

    async def read() -> list[StockUpdate]:
        found: list[StockUpdate] = []
        async with opened(url, stream, "test") as opened_stream:
            state = await opened_stream.state()
            if not state.messages:
                return []
            async for updates in opened_stream.read(state.first - 1):
                found += [StockUpdate.FromString(data) for _, data in updates]
                if updates[-1][0] >= state.last:
                    break
        return found

    return asyncio.run(read())


def state_of(url: str, stream: str) -> StreamState:
    """Return how the stream is."""

    async def ask() -> StreamState:
        async with opened(url, stream, "test") as opened_stream:
            return await opened_stream.state()

    return asyncio.run(ask())


def grows(url: str, stream: str, by: int = 20) -> int:
    """Wait until so many more updates are stored; return the sequence of the last."""
    before = until_blocking(lambda: state_of(url, stream).last, within_seconds=20, retry_on=FeedError)
    return until_blocking(
        lambda: state_of(url, stream).last,
        lambda last: last >= before + by,
        within_seconds=20,
        retry_on=FeedError,
        what="more updates",
    )


def assert_each_once_and_in_order(updates: list[StockUpdate]) -> None:
    """Each ticker's numbers rise by one from the first that is kept, and its price walks on."""
    newest: dict[str, StockUpdate] = {}
    assert updates
    for update in updates:
        if before := newest.get(update.ticker):
            assert update.sequence == before.sequence + 1
            assert abs(update.price - before.price) <= 2.5
        newest[update.ticker] = update
