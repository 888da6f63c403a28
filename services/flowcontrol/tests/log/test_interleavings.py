"""The readers of the log against a model: every interleaving of append, take, stall, accept, time and close."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

import hypothesis
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from numbered import Numbered, Numbers

from flowcontrol import (
    ConflateReader,
    DisconnectReader,
    DropOldestReader,
    Identity,
    LogBounds,
    ReplayReader,
    SendBook,
)

KEYS = ("AAPL", "MSFT", "NVDA")


def new_book() -> SendBook:
    return SendBook(method="m", identity=Identity(), client="c", opened_at=0.0)


async def three_turns() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


class Stream(RuleBasedStateMachine):
    """A log, a reader, and a writer whose transport accepts when the rules say so.

    A model beside it holds plain lists: what was made, what waits, what was sent and what was dropped.
    """

    log_may_be_short: ClassVar[bool] = True

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.begin(1, 1, 0)

    @initialize(most=st.integers(1, 4), kept=st.integers(1, 6), before=st.integers(0, 5))
    def begin(self, most: int, kept: int, before: int) -> None:
        self.now = 0.0
        self.most = most
        self.kept = max(most, kept) if self.log_may_be_short else 1_000
        self.log = Numbered(LogBounds(messages=self.kept), clock=lambda: self.now)
        for number in range(before):
            self.log.put(KEYS[number % 2])
        self.book = new_book()
        self.made: list[Numbers] = []
        self.waiting: list[Numbers] = []
        self.taken: list[Numbers] = []
        self.dropped = 0
        self.in_write: list[Numbers] = []
        self.accepted = 0
        self.closed = False
        self.reader = self.loop.run_until_complete(self.new_reader())
        self.iterator = aiter(self.reader)
        self.reading: asyncio.Task[Numbers | None] | None = None

    async def new_reader(self) -> Any:
        raise NotImplementedError

    def store(self, message: Numbers) -> None:
        """Do in the model what the policy says."""
        raise NotImplementedError

    @rule(keys=st.lists(st.sampled_from(KEYS), min_size=1, max_size=4))
    def append(self, keys: list[str]) -> None:
        for key in keys:
            message = self.log.put(key)
            self.made.append(message)
            self.store(message)
        self.give_the_writer_its_turn()

    @precondition(lambda self: not self.in_write and self.reading is None)
    @rule()
    def take(self) -> None:
        async def next_or_end() -> Numbers | None:
            return await anext(self.iterator, None)

        self.reading = self.loop.create_task(next_or_end())
        self.give_the_writer_its_turn()

    @precondition(lambda self: not self.in_write and self.reading is None)
    @rule(count=st.integers(1, 5))
    def take_many(self, count: int) -> None:
        self.note_taken(self.reader.take_many(count), count)

    def give_the_writer_its_turn(self) -> None:
        if self.reading is None:
            return  # nobody waits for anything
        self.loop.run_until_complete(three_turns())
        if self.reading is None or (self.closed and not self.reading.done()):
            return
        assert self.reading.done() == bool(self.waiting or self.closed), "woken for nothing, or left asleep"
        if self.reading.done():
            reading, self.reading = self.reading, None
            message = reading.result()
            self.note_taken([] if message is None else [message], 1)

    def note_taken(self, messages: list[Numbers], most: int) -> None:
        if self.closed:
            assert messages == [], "taken after close"
            return
        self.queue()
        assert messages == self.waiting[:most]
        del self.waiting[:most]
        self.taken += messages
        self.in_write = messages
        self.book.in_write = len(messages)

    def queue(self) -> None:
        """Do what the policy does when the stream can write."""

    @precondition(lambda self: self.in_write)
    @rule()
    def accept(self) -> None:
        """Let the transport accept what is in write; a stall is that this rule is not chosen."""
        self.accepted += len(self.in_write)
        for _ in self.in_write:
            self.book.add(100)
        self.in_write = []
        self.book.in_write = 0

    @rule(seconds=st.integers(1, 5))
    def time_goes_by(self, seconds: int) -> None:
        self.now += seconds

    @rule()
    def close(self) -> None:
        self.reader.close()
        self.closed = True
        self.give_the_writer_its_turn()

    @invariant()
    def books_balance(self) -> None:
        book = self.book.snapshot()
        assert self.book.balances
        assert book.balances
        assert book.produced == book.messages + book.dropped + book.waiting
        assert (book.produced, book.messages, book.dropped) == (len(self.made), self.accepted, self.dropped)
        assert self.reader.standing().waiting == len(self.waiting)

    @invariant()
    def order_is_kept(self) -> None:
        for key in KEYS:
            numbers = [number for name, number in self.taken if name == key]
            assert numbers == sorted(set(numbers))

    def teardown(self) -> None:
        """End the stream: what still waits counts as dropped, and nothing waits any more."""
        self.close()
        self.log.close()
        self.give_the_writer_its_turn()
        self.loop.run_until_complete(self.iterator.aclose())
        self.loop.close()
        self.book.close()
        assert self.book.waiting == 0
        assert self.book.produced == self.book.messages + self.book.dropped == len(self.made)


class Replaying(Stream):
    bound: ClassVar[str] = "kept"

    async def new_reader(self) -> Any:
        self.told: list[int] = []
        return ReplayReader(self.log, self.book, on_lost=self.told.append)

    def store(self, message: Numbers) -> None:
        self.waiting.append(message)
        if len(self.waiting) > getattr(self, self.bound):
            del self.waiting[0]
            self.dropped += 1

    @invariant()
    def the_last_ones_wait(self) -> None:
        assert self.waiting == self.made[len(self.made) - len(self.waiting) :]

    @invariant()
    def order_is_kept_over_all_keys(self) -> None:
        places = [self.made.index(message) for message in self.taken]
        assert places == sorted(set(places))

    @invariant()
    def told_what_was_lost_once_it_could_write(self) -> None:
        assert sum(self.told) == self.book.dropped


class DroppingOldest(Replaying):
    bound = "most"

    async def new_reader(self) -> Any:
        self.told = []
        return DropOldestReader(self.log, self.book, most_messages=self.most)

    def told_what_was_lost_once_it_could_write(self) -> None:
        """It is told nothing: that is its policy."""


class Disconnecting(DroppingOldest):
    """As drop-oldest; and the model says for how long the stream has been full, which the log must reach back for."""

    log_may_be_short = False

    async def new_reader(self) -> Any:
        self.full_since: float | None = None
        return DisconnectReader(
            self.log,
            self.book,
            on_overdue=lambda seconds: None,
            patience_seconds=3600,
            most_messages=self.most,
        )

    def store(self, message: Numbers) -> None:
        super().store(message)
        if len(self.waiting) == self.most and self.full_since is None:
            self.full_since = self.now

    def note_taken(self, messages: list[Numbers], most: int) -> None:
        super().note_taken(messages, most)
        if not self.closed and len(self.waiting) <= self.most // 2:
            self.full_since = None

    @rule()
    def look(self) -> None:
        full_seconds = self.reader.full_seconds()
        assert full_seconds == (None if self.full_since is None else self.now - self.full_since)


class Conflating(Stream):
    """Keys queue when the stream can write, those first whose newest message came first."""

    async def new_reader(self) -> Any:
        self.queued: list[str] = []
        return ConflateReader(self.log, self.book)

    def store(self, message: Numbers) -> None:
        same_key = [waiting for waiting in self.waiting if waiting[0] == message[0]]
        self.dropped += len(same_key)
        self.waiting = [waiting for waiting in self.waiting if waiting not in same_key] + [message]

    def queue(self) -> None:
        by_key = dict(self.waiting)
        queued = [key for key in self.queued if key in by_key]
        self.queued = queued + [key for key in by_key if key not in queued]
        self.waiting = [(key, by_key[key]) for key in self.queued]

    def note_taken(self, messages: list[Numbers], most: int) -> None:
        super().note_taken(messages, most)
        self.queued = [key for key in self.queued if key not in dict(messages)]

    @invariant()
    def the_newest_of_each_ticker_waits_or_has_been_taken(self) -> None:
        newest = dict(self.made)
        left = {key: number for key, number in [*self.taken, *self.waiting] if number == newest[key]}
        assert left == newest


MACHINES = [Conflating, Replaying, DroppingOldest, Disconnecting]


@pytest.mark.parametrize("machine", MACHINES)
def test_every_interleaving(machine):
    settings = hypothesis.settings(max_examples=40, stateful_step_count=20)
    hypothesis.stateful.run_state_machine_as_test(machine, settings=settings)
