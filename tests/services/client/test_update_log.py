"""The log of the updates: lines, summaries beyond a rate, and what it says of changing between them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from stock_client.reading import update_log
from stock_client.reading.update_log import UpdateLog
from stockservice.stock_pb2 import StockUpdate

from waiting import until


@pytest.fixture
def events(monkeypatch) -> Iterator[list[dict[str, object]]]:
    monkeypatch.setattr(update_log, "SECOND", 0.02)
    monkeypatch.setattr(update_log, "log", update_log.structlog.get_logger())
    with capture_logs() as events:
        yield events


def named(events, name):
    return [event for event in events if event["event"] == name]


def note(log: UpdateLog, count: int, first: int = 1) -> None:
    for number in range(first, first + count):
        log.note(StockUpdate(ticker="AAPL", price=number, sequence=number), age_seconds=number / 1000)


async def test_up_to_the_rate_each_has_a_line(events):
    log = UpdateLog(10)
    note(log, 10)
    log.close()
    assert [event["sequence"] for event in named(events, "update.processed")] == list(range(1, 11))
    assert len(events) == 10


async def test_beyond_it_there_is_a_summary_and_the_log_says_so(events):
    log = UpdateLog(10)
    note(log, 25)
    assert len(named(events, "update.processed")) == 10
    assert [event["most_per_second"] for event in named(events, "log.summary.started")] == [10]
    (summary,) = await until(lambda: named(events, "updates.processed"))
    assert (summary["updates"], summary["last_sequence"], summary["oldest_seconds"]) == (15, 25, 0.025)


async def test_lines_come_back_with_a_slower_second(events):
    log = UpdateLog(10)
    note(log, 11)
    await until(lambda: named(events, "updates.processed"))
    await until(lambda: named(events, "log.summary.ended"))
    events.clear()
    note(log, 1)
    assert [event["event"] for event in events] == ["update.processed"]
    log.close()


async def test_what_is_not_told_yet_is_told_at_the_end(events):
    log = UpdateLog(0)
    note(log, 3)
    log.note(StockUpdate(sequence=9), 0.0, updates=6)
    assert events == []
    log.close()
    (summary,) = events
    assert (summary["updates"], summary["last_sequence"]) == (9, 9)
    log.close()
    assert len(events) == 1


async def test_no_second_is_counted_while_nothing_comes(events):
    log = UpdateLog(10)
    note(log, 1)
    await until(lambda: log._timer is None)
