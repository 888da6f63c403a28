"""A log line leads with its event, for machines and for people."""

from __future__ import annotations

import json
import subprocess
import sys

from servicekit.logs.lines import LEADING_KEYS

SAID = """
import structlog
from servicekit.logs.lines import configure_logging
from servicekit.settings import ServiceSettings

configure_logging(ServiceSettings(log_format={log_format!r}), service="client")
{said}
"""

AN_UPDATE = 'structlog.get_logger().info("update.processed", age_seconds=0.5, ticker="AAPL")'

AN_EXCEPTION = """
try:
    raise ValueError("why")
except ValueError:
    structlog.get_logger().exception("stream.failed")
"""

ERRORS_OF_GRPC = """
import logging
from grpc._cython.cygrpc import ExecuteBatchError
for reason in ('Failed "execute_batch": (<SendMessageOperation>,)', "Failed grpc_call_start_batch: 8"):
    logging.getLogger("grpc").error("ExecuteBatchError raised in core", exc_info=ExecuteBatchError(reason))
"""


def line_of(log_format: str, said: str) -> str:
    """Return the one line that a process logs; an update has names of its own that come before those of every line."""
    program = SAID.format(log_format=log_format, said=said)
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30)
    (line,) = ended.stdout.splitlines()
    return str(line)


def test_a_line_for_machines_leads_with_its_event_and_ends_with_what_is_its_own():
    line = json.loads(line_of("json", AN_UPDATE))
    assert tuple(line) == (*LEADING_KEYS, "age_seconds", "ticker")
    assert LEADING_KEYS[0] == "event"
    assert (line["event"], line["level"], line["service"]) == ("update.processed", "info", "client")


def test_a_line_for_people_leads_with_its_event_too():
    event, timestamp, *others = line_of("text", AN_UPDATE).split()
    assert event == "update.processed"
    assert timestamp[:4].isdigit()
    assert " ".join(others) == "[info ] service=client age_seconds=0.5 ticker=AAPL"


def test_a_traceback_stays_on_its_line_for_machines():
    line = json.loads(line_of("json", AN_EXCEPTION))
    assert tuple(line) == (*LEADING_KEYS, "exception")
    assert "ValueError: why" in line["exception"]


def test_a_write_that_failed_with_its_client_is_no_error_and_a_call_used_wrongly_is():
    line = json.loads(line_of("json", ERRORS_OF_GRPC))
    assert (line["event"], line["logger"]) == ("library.log", "grpc")
    assert line["exception"].endswith("ExecuteBatchError: Failed grpc_call_start_batch: 8")
