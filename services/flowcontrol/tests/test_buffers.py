"""What each stream buffer keeps, drops and tells, and that it wakes who waits for it."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import pytest

from flowcontrol import ConflateBuffer, DisconnectBuffer, DropOldestBuffer, Identity, SendBook

KEYS = ("AAPL", "MSFT", "NVDA")


def new_book() -> SendBook:
    return SendBook(method="m", identity=Identity(), client="c", opened_at=0.0)


def buffers(book: SendBook) -> list[Any]:
    return [
        ConflateBuffer(book),
        DropOldestBuffer(book, 2),
        DisconnectBuffer(book, lambda _: None, patience_seconds=1, most_messages=2),
    ]


@pytest.mark.parametrize("kind", range(3), ids=["conflate", "drop-oldest", "disconnect"])
async def test_a_buffer_wakes_its_writer_and_its_end_too(kind):
    book = new_book()
    buffer = buffers(book)[kind]

    async def write_all() -> list[int]:
        return [message async for message in buffer]

    writer = asyncio.create_task(write_all())
    await asyncio.sleep(0)
    for number in range(3):
        buffer.put(number, number)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    buffer.close()
    assert await asyncio.wait_for(writer, 5) == [0, 1, 2]


async def test_conflation_starves_no_ticker_for_one_that_comes_all_the_time():
    buffer = ConflateBuffer(new_book())
    messages = aiter(buffer)
    taken = []
    for number in range(30):
        for key in (*KEYS, *["HOT"] * 5):
            buffer.put(key, (key, number))
        taken.append(await anext(messages))
    most_turns = len(KEYS) + 1
    for key in (*KEYS, "HOT"):
        turns = [-1, *(turn for turn, (name, _) in enumerate(taken) if name == key), len(taken)]
        assert all(later - turn <= most_turns for turn, later in pairwise(turns)), key
    ages = [turn - number for turn, (_, number) in enumerate(taken)]
    assert ages == [0] * 30, "what is taken is the newest of its ticker"


@pytest.mark.parametrize("most", [1, 3, 256])
def test_the_writer_of_a_stalled_stream_holds_what_its_policy_says(most):
    """10,000 messages of three tickers for a stream that takes none."""
    conflate, drop_oldest = new_book(), new_book()
    held = ConflateBuffer(conflate), DropOldestBuffer(drop_oldest, most)
    for number in range(10_000):
        for buffer in held:
            buffer.put(KEYS[number % 3], number)
    assert (conflate.waiting, conflate.dropped) == (3, 9_997)
    assert (drop_oldest.waiting, drop_oldest.dropped) == (most, 10_000 - most)


def test_an_impatient_buffer_is_overdue_with_the_first_message_that_finds_no_room():
    book, overdue = new_book(), []
    buffer = DisconnectBuffer(book, overdue.append, patience_seconds=0, most_messages=2, clock=lambda: 7.0)
    for number in range(2):
        buffer.put("AAPL", number)
    assert overdue == []
    buffer.put("AAPL", 2)
    assert overdue == [0.0]
    buffer.put("AAPL", 3)
    assert (overdue, book.produced, book.dropped, book.waiting) == ([0.0], 3, 1, 2)


def test_a_message_taken_in_time_starts_patience_anew():
    now, overdue = 0.0, []
    buffer = DisconnectBuffer(new_book(), overdue.append, patience_seconds=5, most_messages=1, clock=lambda: now)
    messages = aiter(buffer)

    def take() -> None:
        with pytest.raises(StopIteration):
            anext(messages).send(None)

    buffer.put("AAPL", 0)
    now = 4.9
    buffer.put("AAPL", 1)
    now = 5.0
    take()
    buffer.put("AAPL", 2)
    now = 9.9
    buffer.put("AAPL", 3)
    assert overdue == []
    now = 10.0
    buffer.put("AAPL", 4)
    assert overdue == [5.0]
