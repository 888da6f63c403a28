"""Where a stream goes on that begins where its client had stopped: against clients that come back at random."""

from __future__ import annotations

import random
from typing import Any

import pytest
from numbered import Numbered

from flowcontrol import ConflateReader, DropOldestReader, Identity, LogBounds, ReplayReader, SendBook

KEYS = ("AAPL", "MSFT", "NVDA", "IBM")
READERS: dict[str, Any] = {
    "replay": ReplayReader,
    "drop-oldest": lambda log, book, stopped: DropOldestReader(log, book, stopped, most_messages=5),
    "conflate": ConflateReader,
}


def new_book() -> SendBook:
    return SendBook(method="m", identity=Identity(), client="c", opened_at=0.0)


class Client:
    """Reads a log by one reader after another, and keeps books of its own."""

    def __init__(self, log: Numbered, kind: str, draw: random.Random) -> None:
        self.log = log
        self.kind = kind
        self.draw = draw
        self.last: dict[str, int] = {}
        self.taken: list[tuple[str, int]] = []
        self.skipped = self.dropped_by_server = self.lost = 0

    def come_back(self, kind: str) -> None:
        stopped = dict(self.last) if self.last else None
        self.book = new_book()
        self.began_at = self.log.head
        self.reader = READERS[kind](self.log, self.book, stopped)
        self.lost += self.reader.lost_at_start
        self.in_flight: list[tuple[str, int]] = []

    def read(self, count: int) -> None:
        """Take what the stream sends; some of it may be in flight for ever."""
        taken = self.reader.take_many(count)
        self.book.messages += len(taken)
        self.in_flight += taken
        self.check()

    def receive(self, count: int) -> None:
        for key, number in self.in_flight[:count]:
            last = self.last.get(key)
            assert last is None or number > last, f"{key} {number} after {last}: it came again"
            if last is not None:
                self.skipped += number - last - 1
            self.last[key] = number
            self.taken.append((key, number))
        del self.in_flight[:count]

    def check(self) -> None:
        book = self.book.snapshot()
        assert self.book.balances
        assert book.produced == book.messages + book.dropped + book.waiting


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize("kept", [1_000, 12])
def test_a_client_that_comes_back_gets_each_message_once_or_knows_that_it_was_dropped(kind, kept):
    for seed in range(150):
        draw = random.Random(seed)
        log = Numbered(LogBounds(messages=kept))
        client = Client(log, kind, draw)
        client.come_back(kind)
        for _ in range(draw.randrange(20, 80)):
            what = draw.random()
            if what < 0.6:
                for _ in range(draw.randrange(1, 4)):
                    log.put(draw.choice(KEYS[: draw.randrange(1, 5)]))
            elif what < 0.8:
                client.read(draw.randrange(1, 9))
            elif what < 0.92:
                client.receive(draw.randrange(1, 9))
            else:
                client.come_back(kind)  # what was in flight has not come
            client.check()
        client.read(1_000)
        client.receive(1_000)
        if kind == "conflate" or (kind, kept) == ("replay", 1_000):
            assert client.last == {key: log.made[key] for key in client.last}, "the newest of each has come"
        if kind == "replay" and kept == 1_000:
            assert (client.skipped, client.lost) == (0, 0)


@pytest.mark.parametrize("kind", READERS)
def test_both_ends_count_the_same_as_dropped_after_a_resume(kind):
    for seed in range(50):
        draw = random.Random(seed)
        log = Numbered(LogBounds(messages=15))
        for _ in range(40):
            log.put(draw.choice(KEYS))
        client = Client(log, kind, draw)
        client.last = {key: max(0, log.made[key] - draw.randrange(12)) for key in KEYS}
        client.come_back(kind)
        for _ in range(30):
            log.put(draw.choice(KEYS))
            if draw.random() < 0.3:
                client.read(3)
        client.read(1_000)
        client.receive(1_000)
        not_known_yet = sum(log.made[key] - last for key, last in client.last.items())
        assert client.book.dropped == client.skipped + not_known_yet
        assert client.lost <= client.book.dropped
        assert kind != "conflate" or client.lost == 0, "the newest of each is always there"


@pytest.mark.parametrize("kind", READERS)
def test_a_reader_skips_what_its_client_has_from_a_server_that_was_further(kind):
    """Servers that share a source are not all at the same place at any moment."""
    log = Numbered()
    for key in KEYS:
        log.put(key)
    book = new_book()
    reader = READERS[kind](log, book, {"AAPL": 3, "MSFT": 1, "NVDA": 0, "IBM": 1})
    log.put("AAPL")
    log.put("AAPL")
    assert (book.waiting, book.snapshot().produced, book.snapshot().dropped) == (1, 1, 0), "NVDA 1"
    log.put("AAPL")
    log.put("MSFT")
    assert sorted(reader.take_many(10)) == [("AAPL", 4), ("MSFT", 2), ("NVDA", 1)]
    assert (book.waiting, book.produced, book.dropped) == (0, 3, 0)


def test_after_a_resume_the_newest_of_each_key_comes_first_under_conflation():
    log = Numbered()
    for key in ("AAPL", "MSFT", "AAPL", "NVDA", "MSFT"):
        log.put(key)
    reader = ConflateReader(log, new_book(), {"AAPL": 2, "MSFT": 0})
    log.put("IBM")
    assert reader.take_many(10) == [("NVDA", 1), ("MSFT", 2), ("IBM", 1)]


def test_keys_that_the_client_does_not_name_go_on_behind_what_it_has_read():
    log = Numbered()
    for key in ("AAPL", "MSFT", "AAPL", "MSFT", "NVDA", "AAPL"):
        log.put(key)
    reader = ReplayReader(log, new_book(), {"AAPL": 2})
    assert reader.take_many(10) == [("MSFT", 2), ("NVDA", 1), ("AAPL", 3)]


def test_what_is_lost_is_said_with_how_many():
    log = Numbered(LogBounds(messages=4))
    for _ in range(10):
        log.put("AAPL")
    book = new_book()
    reader = ReplayReader(log, book, {"AAPL": 2, "a name that the log has never had": 7})
    assert (reader.lost_at_start, book.produced, book.dropped, book.waiting) == (4, 8, 4, 4)
    assert reader.take_many(10) == [("AAPL", number) for number in range(7, 11)]


def test_a_log_takes_no_number_twice_and_goes_on_behind_a_gap():
    log = Numbered()
    log.put("AAPL")
    with pytest.raises(ValueError, match="number 1 does not follow 1"):
        log.append("AAPL", 1, ("AAPL", 1))
    log.append("AAPL", 5, ("AAPL", 5))
    reader = ReplayReader(log, new_book(), {"AAPL": 1})
    assert (reader.lost_at_start, reader.take_many(10)) == (3, [("AAPL", 5)])


@pytest.mark.parametrize(
    ("bounds", "kept"),
    [(LogBounds(messages=3), 3), (LogBounds(bytes=35), 3), (LogBounds(age_seconds=4), 5), (LogBounds(bytes=1), 1)],
)
def test_a_log_keeps_what_its_bounds_say_and_one_message_at_least(bounds, kept):
    now = 0.0
    log = Numbered(bounds, size=10, clock=lambda: now)
    for now in range(1_000):
        log.put(KEYS[now % 3])
    now += 2
    state = log.state()
    assert (state.messages, state.head, state.bytes) == (kept, 1_000, 10 * kept)
    assert state.oldest_age_seconds == kept - 1 + 2
    assert len(log._entries) <= 2 * kept + 2, "the places of what has gone go as well"
    assert sum(len(known.kept) for known in log.keys.values()) == kept
