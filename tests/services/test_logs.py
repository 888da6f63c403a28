"""A log line leads with its event, for machines and for people."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import structlog

from servicekit.logs import LEADING_KEYS, configure_logging
from servicekit.settings import ServiceSettings


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    before = structlog.get_config()
    yield
    structlog.contextvars.clear_contextvars()
    structlog.configure(**before)


def line_of(capsys: pytest.CaptureFixture[str], log_format: str) -> str:
    """Return what is logged of an update, with names of its own that come before those of every line."""
    configure_logging(ServiceSettings(log_format=log_format), service="client")
    structlog.get_logger().info("update.processed", age_seconds=0.5, ticker="AAPL")
    (line,) = capsys.readouterr().out.splitlines()
    return str(line)


def test_a_line_for_machines_leads_with_its_event_and_ends_with_what_is_its_own(capsys):
    line = json.loads(line_of(capsys, "json"))
    assert tuple(line) == (*LEADING_KEYS, "age_seconds", "ticker")
    assert LEADING_KEYS[0] == "event"
    assert (line["event"], line["level"], line["service"]) == ("update.processed", "info", "client")


def test_a_line_for_people_leads_with_its_event_too(capsys):
    event, timestamp, *others = line_of(capsys, "text").split()
    assert event == "update.processed"
    assert timestamp[:4].isdigit()
    assert " ".join(others) == "[info ] service=client age_seconds=0.5 ticker=AAPL"


def test_a_traceback_stays_on_its_line_for_machines(capsys):
    configure_logging(ServiceSettings(log_format="json"), service="server")
    try:
        raise ValueError("why")
    except ValueError:
        structlog.get_logger().exception("stream.failed")
    line = json.loads(capsys.readouterr().out)
    assert tuple(line) == (*LEADING_KEYS, "exception")
    assert "ValueError: why" in line["exception"]
