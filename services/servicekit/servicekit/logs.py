"""Structured logs: JSON lines for machines, readable lines for people."""

from __future__ import annotations

import logging
import sys

import structlog

from servicekit.settings import ServiceSettings

LEADING_KEYS = ("event", "timestamp", "level", "service")
"""What a line begins with, in this order: what happened comes first, and every line has all four."""


def configure_logging(settings: ServiceSettings, service: str) -> None:
    """Send all log events to standard output, with a UTC time, the level and the service's name."""
    as_json = settings.log_format == "json" or (settings.log_format == "auto" and not sys.stdout.isatty())
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _in_order,
            structlog.processors.JSONRenderer() if as_json else _console_renderer(colors=sys.stdout.isatty()),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[settings.log_level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stdout),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)


def _in_order(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    leading = {key: event[key] for key in LEADING_KEYS if key in event}
    return {**leading, **event}


def _console_renderer(*, colors: bool) -> structlog.dev.ConsoleRenderer:
    renderer = structlog.dev.ConsoleRenderer(colors=colors, sort_keys=False)
    renderer.columns = sorted(renderer.columns, key=lambda column: column.key != "event")
    return renderer
