"""The stream buffers against a model: every interleaving of produce, take, stall, accept, time and close."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

import hypothesis
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from flowcontrol import ConflateBuffer, DisconnectBuffer, DropOldestBuffer, Identity, SendBook

KEYS = ("AAPL", "MSFT", "NVDA")
PATIENCE_SECONDS = 5

Message = tuple[str, int]
"""What it is about, and its number: over all keys, rising by one from 0."""


def new_book() -> SendBook:
    return SendBook(method="m", identity=Identity(), client="c", opened_at=0.0)


class Stream(RuleBasedStateMachine):
    """A source that does not wait, a buffer, and a writer whose transport accepts when the rules say so.

    A model beside it holds plain lists: what was made, what waits, what was sent and what was dropped.
    """

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.now = 0.0
        self.book = new_book()
        self.made: list[Message] = []
        self.waiting: list[Message] = []
        self.taken: list[Message] = []
        self.dropped = 0
        self.accepted = 0
        self.in_write: Message | None = None
        self.reading: asyncio.Task[Message | None] | None = None
        self.closed = False
        self.buffer: Any = self.new_buffer(1)
        self.iterator = aiter(self.buffer)

    @initialize(most=st.integers(1, 4))
    def begin(self, most: int) -> None:
        self.most = most
        self.book = new_book()
        self.buffer = self.new_buffer(most)
        self.iterator = aiter(self.buffer)

    def new_buffer(self, most: int) -> Any:
        raise NotImplementedError

    def store(self, message: Message) -> None:
        """Do in the model what the policy says."""
        raise NotImplementedError

    @rule(keys=st.lists(st.sampled_from(KEYS), min_size=1, max_size=4))
    def produce(self, keys: list[str]) -> None:
        for key in keys:
            message = (key, len(self.made))
            self.buffer.put(key, message)
            if not self.closed:
                self.made.append(message)
                self.store(message)
        self.give_the_writer_its_turn()

    @precondition(lambda self: self.in_write is None and self.reading is None)
    @rule()
    def take(self) -> None:
        async def next_or_end() -> Message | None:
            return await anext(self.iterator, None)

        self.reading = self.loop.create_task(next_or_end())
        self.give_the_writer_its_turn()

    def give_the_writer_its_turn(self) -> None:
        for _ in range(3):
            self.loop.run_until_complete(asyncio.sleep(0))
        if self.reading is None:
            return
        assert self.reading.done() == bool(self.waiting or self.closed), "woken for nothing, or left asleep"
        if self.reading.done():
            reading, self.reading = self.reading, None
            self.note_taken(reading.result())

    def note_taken(self, message: Message | None) -> None:
        if self.closed:
            assert message is None, "taken after close"
            return
        assert message == self.waiting.pop(0)
        self.taken.append(message)
        self.in_write = message
        self.book.in_write = 1

    @precondition(lambda self: self.in_write is not None)
    @rule()
    def accept(self) -> None:
        """Let the transport accept what is in write; a stall is that this rule is not chosen."""
        self.in_write = None
        self.accepted += 1
        self.book.in_write = 0
        self.book.add(100)

    @rule(seconds=st.sampled_from([1, PATIENCE_SECONDS - 1, PATIENCE_SECONDS]))
    def time_goes_by(self, seconds: int) -> None:
        self.now += seconds

    @rule()
    def close(self) -> None:
        self.buffer.close()
        self.closed = True
        self.give_the_writer_its_turn()

    @invariant()
    def books_balance(self) -> None:
        book = self.book
        assert book.produced == book.messages + book.dropped + book.waiting
        assert (book.produced, book.messages, book.dropped) == (len(self.made), self.accepted, self.dropped)
        assert len(self.buffer) == len(self.waiting)

    @invariant()
    def order_is_kept(self) -> None:
        for key in KEYS:
            numbers = [number for name, number in self.taken if name == key]
            assert numbers == sorted(set(numbers))

    def teardown(self) -> None:
        """End the stream: what still waits counts as dropped, and nothing waits any more."""
        self.close()
        self.loop.run_until_complete(self.iterator.aclose())
        self.loop.close()
        self.book.close()
        assert self.book.waiting == 0
        assert self.book.produced == self.book.messages + self.book.dropped


class Conflating(Stream):
    def new_buffer(self, most: int) -> Any:
        return ConflateBuffer(self.book)

    def store(self, message: Message) -> None:
        keys = [key for key, _ in self.waiting]
        if message[0] in keys:
            self.waiting[keys.index(message[0])] = message
            self.dropped += 1
        else:
            self.waiting.append(message)

    @invariant()
    def bounds_hold(self) -> None:
        assert len(self.buffer) <= len({key for key, _ in self.made})

    @invariant()
    def the_newest_of_each_ticker_waits_or_has_been_taken(self) -> None:
        newest = dict(self.made)
        left = {key: number for key, number in [*self.taken, *self.waiting] if number == newest[key]}
        assert left == newest


class DroppingOldest(Stream):
    def new_buffer(self, most: int) -> Any:
        return DropOldestBuffer(self.book, most)

    def store(self, message: Message) -> None:
        self.waiting.append(message)
        if len(self.waiting) > self.most:
            del self.waiting[0]
            self.dropped += 1

    @invariant()
    def bounds_hold(self) -> None:
        assert len(self.buffer) <= getattr(self, "most", 1)

    @invariant()
    def order_is_kept_over_all_keys(self) -> None:
        numbers = [number for _, number in self.taken]
        assert numbers == sorted(set(numbers))

    @invariant()
    def the_last_ones_wait(self) -> None:
        assert self.waiting == self.made[len(self.made) - len(self.waiting) :]


class Disconnecting(DroppingOldest):
    """As drop-oldest; and the model says when the stream must be given up."""

    overdue_after: ClassVar[int] = PATIENCE_SECONDS

    def __init__(self) -> None:
        self.full_since: float | None = None
        self.overdue: list[float] = []
        super().__init__()

    def new_buffer(self, most: int) -> Any:
        return DisconnectBuffer(
            self.book,
            self.overdue.append,
            patience_seconds=PATIENCE_SECONDS,
            most_messages=most,
            clock=lambda: self.now,
        )

    def store(self, message: Message) -> None:
        super().store(message)
        if len(self.waiting) < self.most:
            return
        if self.full_since is None:
            self.full_since = self.now
        elif self.now - self.full_since >= PATIENCE_SECONDS:
            self.closed = True
            assert self.overdue == [self.now - self.full_since], "overdue, and not told; or not for how long"
            return
        assert self.overdue == [], "told too early"

    def note_taken(self, message: Message | None) -> None:
        super().note_taken(message)
        if message is not None:
            self.full_since = None

    @invariant()
    def told_once(self) -> None:
        assert len(self.overdue) <= 1


MACHINES = [Conflating, DroppingOldest, Disconnecting]


@pytest.mark.parametrize("machine", MACHINES)
def test_every_interleaving(machine):
    settings = hypothesis.settings(max_examples=120, stateful_step_count=25)
    hypothesis.stateful.run_state_machine_as_test(machine, settings=settings)
