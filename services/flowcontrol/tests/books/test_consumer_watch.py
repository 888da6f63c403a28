"""The task that watches the consumers: it ends with the last stream, forgets what has closed, and outlives faults."""

from __future__ import annotations

import asyncio
from typing import Any

from flowcontrol import ConsumerEvent, ConsumerWatch, Identity, Ledger, SendBook, Thresholds

from waiting import until


class Watched:
    """A watch in the loop, that looks all the time; its clock stands still unless moved."""

    def __init__(self) -> None:
        self.now = 0.0
        self.events: list[ConsumerEvent] = []
        self.ledger = Ledger(SendBook, clock=lambda: self.now)
        thresholds = Thresholds(check_every_seconds=0.001)
        self.watch = ConsumerWatch(self.ledger, self.on_event, thresholds)
        self.failure: Exception | None = None

    def on_event(self, event: ConsumerEvent) -> None:
        self.events.append(event)
        if self.failure is not None:
            raise self.failure

    async def stall(self, client: str) -> SendBook:
        """Open a stream that is blocked from the start, and let it be found held back."""
        book = self.ledger.open("service/Method", Identity(client))
        self.watch.watch(book)
        book.writing.start(self.now)
        # the share is taken from the first look on
        await until(lambda: book in self.watch._traces, every_seconds=0.001)
        self.now += 11
        await until(lambda: client in [event.client for event in self.events], every_seconds=0.001)
        return book


def tasks() -> set[asyncio.Task[Any]]:
    return asyncio.all_tasks() - {asyncio.current_task()}


async def test_the_watch_ends_with_the_last_stream_and_starts_again():
    watched = Watched()
    assert tasks() == set()
    for client in ("first", "second"):
        book = await watched.stall(client)
        watched.watch.watch(book)
        assert len(tasks()) == 1, "one task, however many streams"
        watched.ledger.close(book)
        await until(tasks, lambda tasks: not tasks, what="the watch's end")
    assert [(event.client, event.became) for event in watched.events] == [
        ("first", "held_back"),
        ("second", "held_back"),
    ]


async def test_the_watch_forgets_streams_that_have_closed():
    watched = Watched()
    kept = await watched.stall("kept")
    closed = await watched.stall("closed")
    watched.ledger.close(closed)
    await until(lambda: watched.watch._traces.keys(), lambda books: books == {kept})
    watched.ledger.close(kept)
    await until(tasks, lambda tasks: not tasks, what="the watch's end")
    assert watched.watch._traces == {}


async def test_a_callback_that_fails_is_reported_and_the_watch_goes_on():
    watched = Watched()
    reported: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: reported.append(context["exception"]))
    watched.failure = LookupError("a bug in the callback")
    books = [await watched.stall(client) for client in ("first", "second")]
    assert reported == [watched.failure] * 2
    for book in books:
        watched.ledger.close(book)
    await until(tasks, lambda tasks: not tasks, what="the watch's end")
