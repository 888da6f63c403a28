"""Structured logs: JSON lines for machines, readable lines for people."""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
from traceback import walk_tb
from types import TracebackType

import structlog

from servicekit.logs.writer import LogWriter
from servicekit.settings import ServiceSettings

LEADING_KEYS = ("event", "timestamp", "level", "service")
"""What a line begins with, in this order: what happened comes first, and every line has all four."""

log = structlog.get_logger()


def configure_logging(settings: ServiceSettings, service: str) -> None:
    """Send all log events to standard output, with a UTC time, the level and the service's name.

    Those of the libraries too (event `library.log`), and exceptions that nobody has caught (`process.fault`). A thread
    writes them, so that the log holds up nothing: see `logs.writer`.
    """
    on_terminal = sys.stdout is not None and sys.stdout.isatty()
    as_json = settings.log_format == "json" or (settings.log_format == "auto" and not on_terminal)
    writer = LogWriter(_descriptor(), lambda lost: log.warning("log.resume.complete", lost=lost))
    atexit.register(writer.close)

    def named(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        event["service"] = service
        return event

    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            named,
            _in_order,
            structlog.processors.JSONRenderer() if as_json else _console_renderer(colors=on_terminal),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[settings.log_level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(file=writer),  # type: ignore[arg-type]  # it writes and flushes
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(handlers=[_LibraryLog()], level=logging.WARNING, force=True)
    logging.captureWarnings(True)
    sys.excepthook = _log_fault
    threading.excepthook = lambda fault: _log_fault(fault.exc_type, fault.exc_value, fault.exc_traceback)
    sys.unraisablehook = lambda fault: _log_fault(fault.exc_type, fault.exc_value, fault.exc_traceback)


class _LibraryLog(logging.Handler):
    """Takes what libraries log by Python's own means, grpc and asyncio among them."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[1] is not None and _is_told_otherwise(record.exc_info[1]):
            return
        log.log(
            record.levelno,
            "library.log",
            logger=record.name,
            message=record.getMessage(),
            exc_info=record.exc_info or None,
        )


def _is_told_otherwise(error: BaseException) -> bool:
    """Tell whether no line is due: grpc logs an error that is none, or one that the service tells of by itself.

    A write fails with its client, which ends the stream; grpc takes that for an error where it learns of the failed
    write first (grpcio 1.85). A call that is used wrongly fails by "grpc_call_start_batch", and is logged. What ends
    the loop that takes requests is `server.accept.failed`; grpc's own task that shuts down fails by it once more.
    """
    if type(error).__name__ == "ExecuteBatchError":
        return str(error).startswith('Failed "execute_batch"')
    return any(frame.f_code.co_name == "_server_main_loop" for frame, _ in walk_tb(error.__traceback__))


def _log_fault(kind: type[BaseException], fault: BaseException | None, traceback: TracebackType | None) -> None:
    log.critical("process.fault", reason=f"{kind.__name__}: {fault}", exc_info=(kind, fault, traceback))


def _descriptor() -> int:
    if sys.stdout is not None:
        return sys.stdout.fileno()
    # closed by whoever started this: a socket must not become number 1, and get the log
    return os.open(os.devnull, os.O_RDONLY)


def _in_order(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    leading = {key: event[key] for key in LEADING_KEYS if key in event}
    return {**leading, **event}


def _console_renderer(*, colors: bool) -> structlog.dev.ConsoleRenderer:
    renderer = structlog.dev.ConsoleRenderer(colors=colors, sort_keys=False)
    renderer.columns = sorted(renderer.columns, key=lambda column: column.key != "event")
    return renderer
