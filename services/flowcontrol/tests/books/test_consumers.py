"""When a consumer counts as held back, stopped, recovered: by a simulated stream, second by second, without waiting."""

from __future__ import annotations

import pytest

from flowcontrol import ConsumerEvent, ConsumerWatch, Identity, Ledger, SendBook, Thresholds, Window
from flowcontrol.books.book import ConsumerState

MESSAGE_BYTES = 100
TICK_SECONDS = 0.05
PER_SECOND = 10
"""Updates of the source, as by default."""
SOURCE_BYTES = PER_SECOND * MESSAGE_BYTES
"""What a reader must read in a second to keep up."""
FILLS_IN_SECONDS = 66
"""When the default window is full of these, if nothing is read."""
FOR_EVER = 10**9


class SimulatedStream:
    """A source that waits, a window, and a reader that gives the window back in lumps of half of it, as grpc's does."""

    def __init__(self, window: Window | None = None, actual_window_bytes: int = 65_535, **thresholds: float) -> None:
        self.now = 0.0
        self.events: list[ConsumerEvent] = []
        self.ledger = Ledger(SendBook, clock=lambda: self.now)
        self.watch = ConsumerWatch(self.ledger, self.events.append, Thresholds(**thresholds))
        identity = Identity("reader", 7, Window(actual_window_bytes) if window is None else window)
        self.book = self.ledger.open("service/Method", identity)
        self.book.peer = "ipv4:192.0.2.1:1"
        self._window_bytes = actual_window_bytes
        self._read = self._announced = 0.0
        self._due = 0.0
        self._writing = False
        self._ticks = 0

    @property
    def became(self) -> list[str]:
        """What the consumer has become, one event after the other."""
        return [event.became for event in self.events]

    def run(self, seconds: float, reads_per_second: float, *, until_event: bool = False) -> None:
        """Let time go by, with a reader of so many bytes a second."""
        events = len(self.events)
        for _ in range(round(seconds / TICK_SECONDS)):
            self._tick(reads_per_second * TICK_SECONDS)
            if until_event and len(self.events) > events:
                return

    def _tick(self, most_read: float) -> None:
        self._ticks += 1
        self.now = self._ticks * TICK_SECONDS
        self._read = min(self.book.wire_bytes, self._read + most_read)
        if self._read - self._announced >= self._window_bytes / 2:
            self._announced = self._read
        while self._due <= self.now and self._write():
            self._due = max(self._due + 1 / PER_SECOND, self.now)
        if self._ticks % round(1 / TICK_SECONDS) == 0:
            self.watch.check(self.book, self.now)

    def _write(self) -> bool:
        book = self.book
        if not self._writing:
            self._writing = True
            book.produced += 1
            book.in_write = 1
            book.writing.start(self.now)
        if book.wire_bytes + MESSAGE_BYTES - self._announced > self._window_bytes:
            return False
        self._writing = False
        book.writing.stop(self.now)
        book.in_write = 0
        book.add(MESSAGE_BYTES)
        return True


def test_a_reader_that_keeps_up_is_no_event():
    stream = SimulatedStream()
    stream.run(600, FOR_EVER)
    stream.run(600, SOURCE_BYTES)
    assert stream.became == []
    assert stream.book.messages > 11_900


def test_held_back_stopped_and_recovered_are_one_event_each():
    stream = SimulatedStream()
    stream.run(FILLS_IN_SECONDS + 300, 0)
    assert stream.became == ["held_back", "stopped"]
    assert stream.book.state is ConsumerState.STOPPED
    stream.run(300, FOR_EVER)
    assert stream.became == ["held_back", "stopped", "recovered"]
    assert stream.book.state is ConsumerState.KEEPING_UP
    assert stream.book.transitions == {"held_back": 1, "stopped": 1, "recovered": 1}


def test_when_each_is_told():
    stream = SimulatedStream()
    stream.run(600, 0, until_event=True)
    blocked_since = FILLS_IN_SECONDS - 0.5
    assert stream.now == pytest.approx(blocked_since + 5, abs=1.1), "half of the last 10 s"
    stream.run(600, 0, until_event=True)
    assert stream.now == pytest.approx(blocked_since + 120, abs=1.1)
    woken_at = stream.now
    stream.run(600, FOR_EVER, until_event=True)
    assert stream.now == pytest.approx(woken_at + FILLS_IN_SECONDS, abs=3), "once more than a window has gone freely"


def test_each_spell_is_told_anew():
    stream = SimulatedStream()
    for _ in range(3):
        stream.run(FILLS_IN_SECONDS + 30, 0)
        stream.run(200, FOR_EVER)
    assert stream.became == ["held_back", "recovered"] * 3


def test_a_stopped_reader_that_reads_slowly_is_held_back_and_not_told_again():
    stream = SimulatedStream()
    stream.run(FILLS_IN_SECONDS + 150, 0)
    assert stream.book.state is ConsumerState.STOPPED
    stream.run(60, SOURCE_BYTES * 0.8)
    assert stream.book.state is ConsumerState.HELD_BACK
    assert stream.became == ["held_back", "stopped"]


@pytest.mark.parametrize("share", [0.8, 0.6, 0.5, 0.3])
@pytest.mark.parametrize("window_bytes", [16_384, 65_535, 262_144])
def test_a_slow_reader_does_not_flap(window_bytes, share):
    """It gives half a window back at a time: the writer is free for a while, over and over."""
    stream = SimulatedStream(actual_window_bytes=window_bytes, stopped_after_seconds=FOR_EVER)
    stream.run(6 * window_bytes / SOURCE_BYTES / share + 300, SOURCE_BYTES * share)
    # at 0.8 of the source a small window is full for 2 s of 10
    assert stream.became == ["held_back"] or (stream.became == [] and share == 0.8)


def test_a_reader_so_slow_that_half_a_window_takes_ten_minutes_does_not_flap():
    """One update in two seconds, and no pings. It counts as stopped between two lumps."""
    stream = SimulatedStream()
    stream.run(3_600, 0.5 * MESSAGE_BYTES)
    assert stream.became == ["held_back", "stopped"]
    stream.run(1_200, FOR_EVER)
    assert stream.became == ["held_back", "stopped", "recovered"]


@pytest.mark.parametrize("declared", [Window(None), None], ids=["auto", "undeclared"])
def test_a_slow_reader_whose_window_is_not_known_does_not_flap(declared):
    """grpc's own tuning has been seen to give back 2.2 MB at a time, and to end at 4 MiB."""
    stream = SimulatedStream(Window(None), 4_000_000, stopped_after_seconds=FOR_EVER)
    stream.book.identity = Identity("reader", 7, declared)
    fill_window(stream)
    stream.run(12_000, SOURCE_BYTES * 0.5)
    assert stream.became == ["held_back"]


def fill_window(stream: SimulatedStream) -> None:
    """Fill the window at once: at the source's rate it takes an hour."""
    while stream.book.wire_bytes + MESSAGE_BYTES <= stream._window_bytes:
        stream.book.add(MESSAGE_BYTES)


def test_a_reader_whose_window_is_not_known_recovers_once_it_is_sent_as_much_as_before():
    stream = SimulatedStream(Window(None), 65_535)
    stream.run(FILLS_IN_SECONDS + 30, 0)
    stream.run(100, FOR_EVER)
    assert stream.became == ["held_back", "recovered"]


@pytest.mark.parametrize("declared", [Window(None), None], ids=["auto", "undeclared"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_what_is_in_flight_in_a_blocked_write_is_seen_whatever_was_read_before(declared, share):
    """It is half of the window to all of it: this reader gives back halves."""
    stream = SimulatedStream()
    stream.book.identity = Identity("reader", 7, declared)
    stream.run(1_000 + FILLS_IN_SECONDS / (1 - share), SOURCE_BYTES * share)
    assert stream.book.messages > 700
    assert 300 <= stream.book.seen_window_messages <= 700
    stream.run(600, 0)
    assert 300 <= stream.book.blocked_in_flight_messages(stream.now) <= 700


def test_what_is_in_flight_is_not_known_while_it_may_have_been_read_as_it_was_sent():
    stream = SimulatedStream()
    stream.book.identity = Identity("reader", 7, None)
    while stream.book.writing.lap_seconds(stream.now) < 2:
        stream.run(1, SOURCE_BYTES * 0.5)
    assert stream.book.blocked_in_flight_messages(stream.now) is None


def test_a_write_that_waits_for_a_moment_while_the_connection_begins_says_nothing_of_the_window():
    stream = SimulatedStream()
    stream.book.identity = Identity("reader", 7, None)
    stream.book.writing.start(-0.01)
    stream.watch.check(stream.book, 0.0)
    stream.book.writing.stop(0.0)
    stream.run(2 * FILLS_IN_SECONDS + 10, 0)
    assert stream.book.seen_window_messages == 655


@pytest.mark.parametrize("slow_for", [300, 3_600], ids=["5 minutes", "an hour"])
def test_a_reader_that_declares_no_window_recovers_once_a_window_that_was_seen_has_gone(slow_for):
    stream = SimulatedStream()
    stream.book.identity = Identity("reader", 7, None)
    stream.run(slow_for + FILLS_IN_SECONDS, 0.5 * MESSAGE_BYTES)
    fast_at = stream.now
    stream.run(600, FOR_EVER, until_event=True)
    assert stream.became[-1] == "recovered"
    assert stream.now - fast_at <= FILLS_IN_SECONDS + 2


def test_a_reader_that_gives_back_little_at_a_time_is_known_to_read_again_within_30_seconds():
    """As pings make grpc's do: 20 messages each 10 s."""
    now = 0.0
    ledger = Ledger(SendBook, clock=lambda: now)
    events: list[ConsumerEvent] = []
    watch = ConsumerWatch(ledger, events.append, Thresholds(stopped_after_seconds=FOR_EVER))
    book = ledger.open("service/Method", Identity("reader"))
    due_at = 0
    for second in range(4_000):
        now = float(second)
        for _ in range(PER_SECOND):
            if book.messages < 655 + 20 * (second // 10) or second > 3_600:
                book.writing.stop(now)
                book.add(MESSAGE_BYTES)
            elif book.writing.lap_seconds(now) == 0:
                book.writing.start(now)
        watch.check(book, now)
        if len(events) == 2:
            due_at = second
            break
    assert [event.became for event in events] == ["held_back", "recovered"]
    assert 3_600 < due_at <= 3_630


def test_a_short_stall_is_no_event():
    stream = SimulatedStream()
    stream.run(FILLS_IN_SECONDS + 3, 0)
    assert stream.book.writing.lap_seconds(stream.now) > 2
    stream.run(100, FOR_EVER)
    assert stream.became == []


def test_thresholds_are_taken_as_given():
    stream = SimulatedStream(share_window_seconds=2.0, held_back_share=1.0, stopped_after_seconds=4.0)
    stream.run(FILLS_IN_SECONDS + 1.5, 0)
    assert stream.became == []
    stream.run(1.5, 0)
    assert stream.became == ["held_back"]
    stream.run(2, 0)
    assert stream.became == ["held_back", "stopped"]


def test_an_event_tells_what_is_known():
    stream = SimulatedStream()
    stream.book.policy = "drop-oldest"
    stream.run(600, 0, until_event=True)
    blocked = stream.book.writing.lap_seconds(stream.now)
    assert stream.events == [
        ConsumerEvent(
            became="held_back",
            client="reader",
            peer="ipv4:192.0.2.1:1",
            method="service/Method",
            policy="drop-oldest",
            blocked_seconds=blocked,
            blocked_share=pytest.approx(blocked / 10, abs=0.01),
            in_flight_bytes=65_535,
            sent_messages=655,
            waiting_messages=1,
            dropped_messages=0,
        )
    ]
    stream.run(600, FOR_EVER, until_event=True)
    recovered = stream.events[-1]
    assert (recovered.became, recovered.blocked_seconds, recovered.in_flight_bytes) == ("recovered", 0, None)
    assert recovered.blocked_share < 0.5


def test_an_event_of_an_autotuned_window_does_not_guess_what_is_in_flight():
    stream = SimulatedStream(Window(None))
    stream.run(600, 0, until_event=True)
    assert stream.events[0].in_flight_bytes is None


def test_streams_are_told_apart_and_need_no_callback():
    now = 0.0
    ledger = Ledger(SendBook, clock=lambda: now)
    watch = ConsumerWatch(ledger)
    stalled, free = (ledger.open("service/Method", Identity(name)) for name in ("stalled", "free"))
    stalled.writing.start(0.0)
    for second in range(20):
        now = float(second)
        for book in ledger.open_books():
            watch.check(book, now)
    assert (stalled.state, free.state) == (ConsumerState.HELD_BACK, ConsumerState.KEEPING_UP)
    assert (stalled.transitions, free.transitions) == ({"held_back": 1}, {})
    ledger.close(stalled)
    assert stalled.state is ConsumerState.KEEPING_UP, "a stream that is closed is none that is held back"
    assert ledger.statement().accounts["service/Method", "stalled"].tally(now)["transitions_held_back"] == 1
