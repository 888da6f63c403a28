"""File descriptors: as many as may be had, and a word when none is left, for then connections just wait."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import time
from typing import Any

import structlog
from prometheus_client import Counter

LOOK_EVERY_SECONDS = 0.5
MOST_DESCRIPTORS = 1_048_576
"""What a host allows may be without end, which is no number of descriptors to have."""
NONE_LEFT = (errno.EMFILE, errno.ENFILE)

SHORTAGES = Counter(
    "stock_descriptor_shortages", "How often no descriptor was left, so that connections waited.", registry=None
)

log = structlog.get_logger()


def raise_descriptor_limit() -> None:
    """Take as many descriptors as the hard limit allows; shells and containers start with a few of them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MOST_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


async def watch_descriptors() -> None:
    """Tell, for ever, when no descriptor is left, and when there are some again: once each."""
    none_since: float | None = None
    while True:
        left = _is_one_left()
        if not left and none_since is None:
            none_since = time.monotonic()
            SHORTAGES.inc()
            log.error("descriptors.exhausted", limit=resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        elif left and none_since is not None:
            log.warning("descriptors.recovered", seconds=round(time.monotonic() - none_since, 1))
            none_since = None
        await asyncio.sleep(LOOK_EVERY_SECONDS)


def leave_shortages_to_watch(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Handle exceptions of an event loop that accepts: asyncio tells of a shortage again and again while it lasts."""
    error = context.get("exception")
    if not (isinstance(error, OSError) and error.errno in NONE_LEFT):
        loop.default_exception_handler(context)


def _is_one_left() -> bool:
    try:
        os.close(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
    except OSError as error:
        return error.errno not in NONE_LEFT
    return True
