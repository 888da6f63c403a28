"""Each policy of the live feed as a way of reading its log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from flowcontrol import (
    DEFAULT_BUFFER_MESSAGES,
    ConflateReader,
    DisconnectReader,
    DropOldestReader,
    LogReader,
    MeasuredStream,
    MessageLog,
    ReplayReader,
    SharedMessage,
)
from stock_server.streams import slow_consumer
from stock_server.streams.policy import Policy

log = structlog.get_logger()


@dataclass(frozen=True)
class ReadLimits:
    """How far behind a stream may be, where its policy has a bound of its own."""

    buffer_updates: int = DEFAULT_BUFFER_MESSAGES
    """Updates that wait for a stream under `drop-oldest` and `disconnect`, at most."""
    disconnect_after_seconds: float = 5.0
    retry_delay_seconds: float = 1.0


def reader_for(
    policy: Policy,
    updates: MessageLog[SharedMessage],
    stream: MeasuredStream,
    limits: ReadLimits,
    stopped: Mapping[str, int] | None = None,
) -> LogReader[SharedMessage]:
    """Return a reader of the log for a stream under a policy other than `pause`.

    It begins behind the numbers at which its client has `stopped`; None: with the next update to come.
    """
    book, most = stream.book, limits.buffer_updates
    if policy is Policy.CONFLATE:
        return ConflateReader(updates, book, stopped)
    if policy is Policy.DROP_OLDEST:
        return DropOldestReader(updates, book, stopped, most_messages=most)
    if policy is Policy.REPLAY:
        return ReplayReader(updates, book, stopped, on_lost=lambda lost: _tell_lost(stream, lost))

    def end(behind_seconds: float) -> None:
        stream.cut(*slow_consumer.status(behind_seconds, most, limits.retry_delay_seconds))

    patience_seconds = limits.disconnect_after_seconds
    return DisconnectReader(
        updates, book, stopped, on_overdue=end, patience_seconds=patience_seconds, most_messages=most
    )


def _tell_lost(stream: MeasuredStream, lost: int) -> None:
    log.warning("stream.replay.lost", client=stream.book.client, lost=lost, reason="they have fallen out of the log")
