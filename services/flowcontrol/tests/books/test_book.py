from __future__ import annotations

import sys
import threading

from flowcontrol import Identity, ReceiveBook, SendBook
from flowcontrol.books.book import BLOCKED_AFTER_SECONDS, Stopwatch


def send_book() -> SendBook:
    return SendBook("m", Identity(), "c", opened_at=0)


def test_a_stopwatch_adds_up_its_laps():
    watch = Stopwatch()
    watch.start(1)
    watch.stop(3)
    watch.start(10)
    watch.stop(14)
    assert watch.seconds(100) == 6


def test_a_stopwatch_is_right_in_the_middle_of_a_lap():
    watch = Stopwatch()
    watch.start(1)
    watch.stop(3)
    watch.start(10)
    assert watch.lap_seconds(15) == 5
    assert watch.seconds(15) == 7


def test_a_stopwatch_that_stands_has_no_lap():
    watch = Stopwatch()
    watch.stop(5)
    assert watch.lap_seconds(9) == watch.seconds(9) == 0


def test_laps_too_short_do_not_count_and_longer_ones_count_whole():
    watch = Stopwatch(ignore_below_seconds=2)
    watch.start(0)
    assert watch.seconds(1) == 0
    watch.stop(1)
    watch.start(10)
    assert watch.seconds(12) == 2
    watch.stop(13)
    assert watch.seconds(20) == 3


def test_a_reader_with_an_older_time_gets_no_negative_lap():
    watch = Stopwatch()
    watch.start(10)
    assert watch.seconds(9) == 0


def test_a_scrape_in_another_thread_never_sees_half_a_change():
    watch, done = Stopwatch(), threading.Event()
    failures: list[object] = []

    def scrape() -> None:
        before = 0.0
        try:
            while not done.is_set():
                # a time long after all laps: one that counts twice shows
                finished = watch.seconds(0)
                if finished < before:
                    failures.append((before, finished))
                before = finished
                watch.lap_seconds(1e9)
        except Exception as failure:
            failures.append(failure)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    scraper = threading.Thread(target=scrape)
    scraper.start()
    try:
        for _ in range(150_000):
            watch.start(-1)
            watch.stop(0)
    finally:
        done.set()
        scraper.join(10)
        sys.setswitchinterval(interval)
    assert failures == []
    assert watch.seconds(0) == 150_000


def test_a_book_counts_messages_and_bytes():
    book = send_book()
    book.add(100)
    book.add(1_005)
    assert book.tally(0) == {
        "messages": 2,
        "batches": 2,
        "bytes": 1_105,
        "unsized": 0,
        "produced": 0,
        "dropped": 0,
        "write_blocked_seconds": 0,
    }


def test_a_write_under_way_is_blocked_as_long_as_it_lasts():
    book = send_book()
    book.writing.start(0)
    assert book.tally(BLOCKED_AFTER_SECONDS / 2)["write_blocked_seconds"] == 0
    assert book.tally(7)["write_blocked_seconds"] == 7


def test_a_receiving_book_tells_waiting_from_processing():
    book = ReceiveBook("m", Identity(), "c", opened_at=0)
    book.waiting.start(0)
    book.waiting.stop(2)
    book.add(100)
    book.processing.start(2)
    tally = book.tally(5)
    assert tally == {
        "messages": 1,
        "batches": 1,
        "bytes": 100,
        "unsized": 0,
        "read_waiting_seconds": 2,
        "processing_seconds": 3,
    }


def test_books_with_the_same_numbers_are_not_the_same_book():
    assert send_book() != send_book()
