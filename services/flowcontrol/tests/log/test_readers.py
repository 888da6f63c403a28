"""What each reader of the log takes, drops and tells, and that it is woken."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import pytest
from numbered import Numbered

from flowcontrol import (
    ConflateReader,
    DisconnectReader,
    DropOldestReader,
    Identity,
    LogBounds,
    MessageLog,
    ReplayReader,
    SendBook,
)

from waiting import until

KEYS = ("AAPL", "MSFT", "NVDA")


def new_book() -> SendBook:
    return SendBook(method="m", identity=Identity(), client="c", opened_at=0.0)


def disconnecting(log: MessageLog[Any], book: SendBook, **arguments: Any) -> DisconnectReader[Any]:
    given = {"on_overdue": lambda seconds: None, "patience_seconds": 3600.0, "most_messages": 8}
    return DisconnectReader(log, book, **{**given, **arguments})


READERS: dict[str, Any] = {
    "replay": ReplayReader,
    "drop-oldest": DropOldestReader,
    "disconnect": disconnecting,
    "conflate": ConflateReader,
}


@pytest.mark.parametrize("kind", READERS)
async def test_a_message_wakes_a_reader_and_the_end_of_the_log_ends_it(kind):
    log = Numbered()
    reader = READERS[kind](log, new_book())

    async def read_all() -> list[Any]:
        return [message async for message in reader]

    reading = asyncio.create_task(read_all())
    for key in KEYS:
        await asyncio.sleep(0)
        log.put(key)
    await until(lambda: reader._taken == 3)
    log.close()
    assert await asyncio.wait_for(reading, 5) == [("AAPL", 1), ("MSFT", 1), ("NVDA", 1)]
    with pytest.raises(ValueError, match="closed"):
        log.put("AAPL")


@pytest.mark.parametrize("kind", READERS)
async def test_a_reader_whose_stream_is_cancelled_leaves_nothing_in_the_log(kind):
    log = Numbered()
    reading = asyncio.ensure_future(READERS[kind](log, new_book()).ready())
    await until(lambda: len(log._waiters), lambda waiters: waiters == 1)
    reading.cancel()
    await until(lambda: len(log._waiters), lambda waiters: waiters == 0)


async def test_an_append_wakes_who_waits_and_costs_the_others_nothing():
    log = Numbered()
    stalled = [ReplayReader(log, new_book()) for _ in range(1_000)]
    waiting = [asyncio.ensure_future(ReplayReader(log, new_book()).ready()) for _ in range(3)]
    await until(lambda: len(log._waiters), lambda waiters: waiters == 3)
    log.put("AAPL")
    assert len(log._waiters) == 0
    assert await asyncio.gather(*waiting) == [True] * 3
    before = [dict(vars(reader)) for reader in stalled]
    log.put("AAPL")
    assert [dict(vars(reader)) for reader in stalled] == before


@pytest.mark.parametrize("round_robin", [False, True], ids=["one that comes all the time", "each in its turn"])
def test_conflation_starves_no_ticker(round_robin):
    log = Numbered()
    reader = ConflateReader(log, new_book())
    names = KEYS if round_robin else (*KEYS, *["HOT"] * 5)
    taken = []
    for number in range(60):
        for key in (names[number % 3], names[(number + 1) % 3]) if round_robin else names:
            log.put(key)
        taken.append(reader.take())
    for key in set(names):
        turns = [-1, *(turn for turn, (name, _) in enumerate(taken) if name == key), len(taken)]
        assert all(later - turn <= len(set(names)) for turn, later in pairwise(turns)), key


def test_what_is_taken_under_conflation_is_the_newest_of_its_ticker():
    log = Numbered()
    reader = ConflateReader(log, new_book())
    for _ in range(30):
        for key in KEYS:
            log.put(key)
        key, number = reader.take()
        assert number == log.keys[key].newest.number


@pytest.mark.parametrize("most", [1, 3, 256])
def test_what_waits_for_a_stalled_stream_is_what_its_policy_says(most):
    """10,000 messages of three tickers for a stream that takes none."""
    log = Numbered()
    conflate, drop_oldest, replay = new_book(), new_book(), new_book()
    _ = ConflateReader(log, conflate), DropOldestReader(log, drop_oldest, most_messages=most), ReplayReader(log, replay)
    for number in range(10_000):
        log.put(KEYS[number % 3])
    books = [(book.waiting, book.snapshot().dropped) for book in (conflate, drop_oldest, replay)]
    assert books == [(3, 9_997), (most, 10_000 - most), (10_000, 0)]


def test_a_replaying_stream_is_told_what_has_fallen_out_of_the_log():
    log = Numbered(LogBounds(messages=10))
    book, lost = new_book(), []
    reader = ReplayReader(log, book, on_lost=lost.append)
    for _ in range(15):
        log.put("AAPL")
    assert (book.waiting, book.snapshot().dropped, lost) == (10, 5, [])
    assert (reader.take(), lost) == (("AAPL", 6), [5])
    assert (reader.take(), lost) == (("AAPL", 7), [5])
    book.messages = 2
    assert book.balances


def test_several_are_taken_at_once_up_to_a_count_or_a_size():
    log = Numbered(size=10)
    reader = ReplayReader(log, new_book())
    for _ in range(10):
        log.put("AAPL")
    assert reader.take_many(3) == [("AAPL", 1), ("AAPL", 2), ("AAPL", 3)]
    assert reader.take_many(100, most_bytes=29) == [("AAPL", 4), ("AAPL", 5)]
    assert reader.take_many(100, most_bytes=1) == [("AAPL", 6)], "one at least"
    assert len(reader.take_many(100)) == 4
    assert reader.take_many(100) == []


async def test_a_stream_is_overdue_also_while_nothing_comes_and_nothing_is_taken():
    overdue: list[float] = []
    now = 0.0
    log = Numbered(clock=lambda: now)
    reader = disconnecting(log, new_book(), on_overdue=overdue.append, patience_seconds=0, most_messages=2)
    log.put("AAPL")
    now = 7.0
    log.put("AAPL")
    now = 9.5
    await until(lambda: overdue)
    assert (overdue, reader.is_closed, reader.take()) == ([2.5], True, None)


async def test_a_reader_is_full_from_the_message_that_filled_it_until_half_of_it_has_been_taken():
    now = 0.0
    log = Numbered(clock=lambda: now)
    reader = disconnecting(log, new_book(), most_messages=4)
    for now in range(1, 4):  # noqa: B007 - the clock
        log.put("AAPL")
    assert reader.full_seconds() is None
    for now in range(4, 11):  # noqa: B007 - the clock
        log.put("AAPL")
    assert reader.full_seconds() == 6, "since 4"
    reader.take()
    now = 11
    assert reader.full_seconds() == 7, "room for one more is no sign of a client that catches up"
    reader.take()
    assert reader.full_seconds() is None
    reader.close()
