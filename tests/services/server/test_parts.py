"""The server's parts: where updates come from, and when they are due."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from itertools import pairwise

import pytest

from stockfeed.pace import Pace
from stockfeed.source import LOWEST_PRICE, StockSource, rfc3339

from skipping import SkippingLoop


def test_a_source_walks_as_the_originals():
    source = StockSource(seed=1)
    updates = [source.next() for _ in range(2_000)]
    assert [update.sequence for update in updates] == list(range(1, 2_001))
    assert abs(updates[0].price - 150.0) <= 2.5
    for before, update in pairwise(updates):
        assert abs(update.change) <= 2.5
        assert update.change == pytest.approx(update.price - before.price)
        assert update.change_percent == pytest.approx(update.change / before.price * 100)
        assert update.low_price <= update.price <= update.high_price
        assert update.open_price == 150.0
        assert 0 <= update.volume < 10_000
    assert min(update.price for update in updates) >= LOWEST_PRICE
    assert {update.ticker for update in updates} == {"AAPL"}


def test_a_price_never_falls_below_the_lowest():
    source = StockSource(seed=2)
    source._price = LOWEST_PRICE
    assert all(source.next().price >= LOWEST_PRICE for _ in range(100))


def test_padding_makes_an_update_larger_by_as_much():
    small, large = StockSource(seed=1).next().ByteSize(), StockSource(padding_bytes=1_000, seed=1).next().ByteSize()
    assert 1_000 < large - small < 1_010


def test_times_are_rfc_3339_of_one_length():
    for microsecond in (0, 1, 999, 1_000, 999_999):
        moment = datetime(2026, 11, 22, 1, 2, 3, microsecond, tzinfo=UTC)
        text = rfc3339(int(moment.timestamp() * 1000))
        assert len(text) == len("2026-11-22T01:02:03.000Z")
        assert abs((datetime.fromisoformat(text) - moment).total_seconds()) < 0.001


async def beats(pace: Pace, most: int, *, held_back_seconds: float = 0.0) -> list[float]:
    """Return when the first beats came, to who is held back once, at the first."""
    loop = asyncio.get_running_loop()
    times: list[float] = []
    async for _ in pace.beats():
        times.append(loop.time())
        if len(times) == most:
            break
        if len(times) == 1:
            await asyncio.sleep(held_back_seconds)
    return times


def test_a_pace_beats_at_its_interval():
    with asyncio.Runner(loop_factory=SkippingLoop) as runner:
        assert runner.run(beats(Pace(0.1), 4)) == pytest.approx([0, 0.1, 0.2, 0.3])


def test_who_comes_back_late_gets_one_beat_and_missed_ones_are_not_made_up_for():
    with asyncio.Runner(loop_factory=SkippingLoop) as runner:
        assert runner.run(beats(Pace(0.1), 4, held_back_seconds=0.35)) == pytest.approx([0, 0.35, 0.45, 0.55])


async def test_a_pace_without_an_interval_never_waits():
    assert len(await beats(Pace(0), 10_000)) == 10_000


async def test_stopping_ends_all_beats_at_once():
    pace = Pace(60)
    waiting = [asyncio.ensure_future(beats(pace, 2)) for _ in range(3)]
    await asyncio.sleep(0)
    pace.stop()
    async with asyncio.timeout(5):
        assert [len(times) for times in await asyncio.gather(*waiting)] == [1, 1, 1]
    assert await beats(pace, 1) == []
