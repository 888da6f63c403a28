"""The client's parts: processing schedules, sequence numbers, ages, and its end."""

from __future__ import annotations

import asyncio
import math
import time

import pytest
from prometheus_client import CollectorRegistry

import stock_client.main
from stock_client.metrics.client import ClientMetrics, made_at
from stock_client.metrics.presence import Presence
from stock_client.reading.processing import Processing
from stock_client.reading.sequence import SequenceTracker
from stock_client.settings import ClientSettings
from stockservice.stock_pb2 import StockUpdate


def draws(text: str, elapsed_seconds: float = 0.0) -> list[float] | None:
    phase, _ = Processing.parse(text).at(elapsed_seconds)
    return None if phase.draw_seconds is None else [phase.draw_seconds() for _ in range(200)]


@pytest.mark.parametrize(("text", "seconds"), [("none", 0), ("0", 0), ("0.25", 0.25), ("3", 3), ("1e-3", 0.001)])
def test_fixed_processing(text, seconds):
    assert set(draws(text)) == {seconds}


def test_random_processing_takes_a_whole_one_two_or_three_seconds():
    assert set(draws("random")) == {1.0, 2.0, 3.0}


def test_random_processing_within_bounds():
    seconds = draws("random:0.5-2")
    assert min(seconds) >= 0.5
    assert max(seconds) <= 2
    assert len(set(seconds)) > 100


def test_stopped_processing_reads_nothing():
    assert draws("stopped") is None


@pytest.mark.parametrize(
    ("elapsed_seconds", "kind", "remaining_seconds"),
    [(0, "0.25", 60), (59.9, "0.25", 0.1), (60, "stopped", 5), (64, "stopped", 1), (65, "none", float("inf"))],
)
def test_phases_follow_each_other_and_the_last_one_lasts(elapsed_seconds, kind, remaining_seconds):
    phase, remaining = Processing.parse("0.25@60, stopped@5, none").at(elapsed_seconds)
    assert phase.kind == kind
    assert remaining == pytest.approx(remaining_seconds)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "fast",
        "-1",
        "nan",
        "inf",
        "1,",
        ",1",
        "1,2",
        "1@,2",
        "1@x,2",
        "1@-5,2",
        "random:2-1",
        "random:1",
        "random:a-b",
    ],
)
def test_what_is_no_processing_is_refused(text):
    with pytest.raises(ValueError, match=r"\S"):
        Processing.parse(text)


def skipped(*updates: tuple[str, int], tracker: SequenceTracker | None = None) -> list[int]:
    tracker = SequenceTracker() if tracker is None else tracker
    return [tracker.skipped_before(ticker, sequence) for ticker, sequence in updates]


def test_numbers_that_rise_by_one_miss_nothing():
    assert skipped(("A", 1), ("A", 2), ("A", 3)) == [0, 0, 0]


def test_the_first_number_may_be_any():
    assert skipped(("A", 100), ("A", 101)) == [0, 0]


def test_a_gap_is_counted_once():
    assert skipped(("A", 1), ("A", 5), ("A", 6)) == [0, 3, 0]


def test_tickers_have_numbers_of_their_own():
    assert skipped(("A", 1), ("B", 7), ("A", 2), ("B", 9)) == [0, 0, 0, 1]


def test_a_server_without_numbers_misses_nothing():
    assert skipped(("A", 0), ("A", 0), ("A", 0)) == [0, 0, 0]


def test_a_number_that_comes_again_or_too_late_is_no_gap_and_makes_none():
    assert skipped(("A", 5), ("A", 5), ("A", 3), ("A", 6)) == [0, -1, -1, 0]


def test_a_stream_of_the_same_source_goes_on():
    tracker = SequenceTracker()
    assert tracker.begin_stream("source") is False
    assert skipped(("A", 4), tracker=tracker) == [0]
    assert tracker.begin_stream("source") is True
    assert skipped(("A", 10), tracker=tracker) == [5]


@pytest.mark.parametrize("source", ["another", None])
def test_a_stream_of_another_source_or_none_begins_anew(source):
    tracker = SequenceTracker()
    tracker.begin_stream("source")
    skipped(("A", 4), tracker=tracker)
    assert tracker.begin_stream(source) is False
    assert skipped(("A", 10), tracker=tracker) == [0]


def test_two_sources_without_a_name_are_not_the_same():
    tracker = SequenceTracker()
    tracker.begin_stream(None)
    assert tracker.begin_stream(None) is False


@pytest.mark.parametrize(
    ("timestamp", "seconds"),
    [
        ("1970-01-01T00:01:00Z", 60),
        ("1970-01-01T00:01:00.500Z", 60.5),
        ("1970-01-01T01:01:00.123456789+01:00", 60.123456),
        ("", None),
        ("yesterday", None),
    ],
)
def test_when_an_update_was_made(timestamp, seconds):
    assert made_at(StockUpdate(timestamp=timestamp)) == seconds


def test_an_update_counts_once_its_processing_is_done():
    registry = CollectorRegistry()
    metrics = ClientMetrics(registry, "tester", Presence(60))
    update = StockUpdate(timestamp="2020-01-01T00:00:00Z")
    metrics.begin(update)
    assert registry.get_sample_value("stock_updates_received_total") == 0
    assert registry.get_sample_value("stock_client_working_age_seconds", {"client": "tester"}) > 1e8
    assert metrics.complete(update, time.time()) > 1e8
    assert registry.get_sample_value("stock_updates_received_total") == 1
    assert registry.get_sample_value("stock_client_working_age_seconds", {"client": "tester"}) == 0
    assert registry.get_sample_value("stock_client_update_age_seconds_count", {"client": "tester"}) == 1


def test_an_age_by_a_clock_that_is_ahead_is_not_known_and_never_negative():
    registry = CollectorRegistry()
    metrics = ClientMetrics(registry, "tester", Presence(60))
    of = {"client": "tester"}
    update = StockUpdate(timestamp="2020-01-01T01:00:00Z")
    made = made_at(update)
    assert math.isnan(metrics.complete(update, made - 3600))
    assert registry.get_sample_value("stock_client_clock_ahead_seconds", of) == 3600
    assert metrics.complete(update, made - 0.5) == 0, "the clocks of two hosts differ a little"
    assert registry.get_sample_value("stock_client_clock_ahead_seconds", of) == 0
    assert metrics.complete(update, made + 2) == 2
    assert math.isnan(metrics.complete(StockUpdate(timestamp="noon"), made))
    assert registry.get_sample_value("stock_updates_received_total") == 4
    assert registry.get_sample_value("stock_client_update_age_seconds_count", of) == 2
    assert registry.get_sample_value("stock_client_update_age_seconds_sum", of) == 2


async def test_the_client_ends_also_where_a_cancellation_was_taken_for_the_end_of_a_call(monkeypatch):
    """grpc does that now and then, when both come at once."""
    stop = asyncio.Event()
    cancellations = 0

    async def reads_on(*_: object) -> None:
        nonlocal cancellations
        while cancellations < 2:
            try:
                stop.set()
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                cancellations += 1
        raise asyncio.CancelledError

    monkeypatch.setattr(stock_client.main, "stop_on_signals", lambda: stop)
    monkeypatch.setattr(stock_client.main, "read_for_ever", reads_on)
    settings = ClientSettings(
        server_address="127.0.0.1:1", metrics_host="127.0.0.1", metrics_port=0, _cli_parse_args=False
    )
    async with asyncio.timeout(10):
        await stock_client.main.run(settings)
    assert cancellations == 2
