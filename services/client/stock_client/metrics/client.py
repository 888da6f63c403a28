"""The client's own metrics; those of flow control come from `flowcontrol`."""

from __future__ import annotations

import time
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge

from flowcontrol.keepalive import DEFAULT_TIME_SECONDS
from stock_client.ending import StreamEndedError
from stock_client.metrics.ages import ProcessedUpdates
from stock_client.metrics.clock import ServerClock
from stock_client.metrics.presence import Presence
from stockservice.stock_pb2 import StockUpdate


class ClientMetrics:
    """Counts what has been processed, missed and reconnected, and how old the data is.

    What rests on the updates' numbers has no series until a numbered update has come: it is not known, and no zero.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        client: str,
        presence: Presence,
        keepalive_time_seconds: float = DEFAULT_TIME_SECONDS,
    ) -> None:
        self.presence = presence
        self._client = client
        self._processed = ProcessedUpdates(client)
        registry.register(self._processed)
        self._missed = Counter(
            "stock_client_missed_updates", "Updates whose number never came.", ["client"], registry=registry
        )
        self._dropped = Counter(
            "stock_client_dropped_updates",
            "Updates that the server's policy for slow consumers has left out, or that were made while away.",
            ["client"],
            registry=registry,
        )
        self.unfollowed = Counter(
            "stock_client_unfollowed_updates",
            "Updates of tickers beyond the limit: whether any of them are missed is not known.",
            ["client"],
            registry=registry,
        ).labels(client)
        self._repeated = Counter(
            "stock_client_repeated_updates", "Updates that came again, or out of order.", ["client"], registry=registry
        )
        self._ends = Counter(
            "stock_client_stream_ends",
            "Ends of streams, and of attempts at one, by status code.",
            ["client", "code"],
            registry=registry,
        )
        self.reconnects = Counter(
            "stock_client_reconnects", "Streams that ended and were opened again.", ["client"], registry=registry
        ).labels(client)
        self.gap_seconds = Counter(
            "stock_client_gap_seconds",
            "Seconds between the last update before a reconnect and the first after it, by the server's clocks.",
            ["client"],
            registry=registry,
        ).labels(client)
        working_age = Gauge(
            "stock_client_working_age_seconds",
            "Age of the update that is being processed; 0 while the client waits for one, NaN where it is not known.",
            ["client"],
            registry=registry,
        ).labels(client)
        working_age.set_function(self._working_age_seconds)
        unprocessed = Gauge(
            "stock_client_unprocessed_updates",
            "Updates that have been read and not processed yet, the one under way included.",
            ["client"],
            registry=registry,
        ).labels(client)
        unprocessed.set_function(lambda: self._unprocessed)
        without_stream = Gauge(
            "stock_client_without_stream_seconds",
            "For how long the client has had no stream that a server has answered; 0: it has one.",
            ["client"],
            registry=registry,
        ).labels(client)
        without_stream.set_function(presence.without_stream_seconds)
        ready_within = Gauge(
            "stock_client_ready_within_seconds",
            "For how long the client may have no stream until it is not ready.",
            ["client"],
            registry=registry,
        ).labels(client)
        ready_within.set(presence.ready_within_seconds)
        # with a ping a slow client gives back what it has read of its window
        keepalive_time = Gauge(
            "stock_client_keepalive_time_seconds",
            "Seconds without a word of the server before the client pings it.",
            ["client"],
            registry=registry,
        ).labels(client)
        keepalive_time.set(keepalive_time_seconds)
        self._server_clock = ServerClock()
        clock_ahead = Gauge(
            "stock_client_clock_ahead_seconds",
            "How far in the future the last update was made, so that ages are not known; 0: it was not.",
            ["client"],
            registry=registry,
        ).labels(client)
        clock_ahead.set_function(lambda: self._server_clock.ahead_seconds)
        self._working_on: StockUpdate | None = None
        self._unprocessed = 0
        self._last_timestamp = ""
        self._last_made_at: float | None = None

    @property
    def missed(self) -> Counter:
        """Updates whose number never came."""
        return self._missed.labels(self._client)

    @property
    def dropped(self) -> Counter:
        """Updates left out by policy, or made while away."""
        return self._dropped.labels(self._client)

    @property
    def repeated(self) -> Counter:
        """Updates that came again, or out of order."""
        return self._repeated.labels(self._client)

    def know_by_numbers(self, numbered: bool) -> None:
        """Note whether the updates that come now are numbered: what rests on that begins at 0, or is not known."""
        for counter in (self._missed, self._dropped, self._repeated):
            if numbered:
                counter.labels(self._client)
            else:
                counter.clear()

    def end_stream(self, end: StreamEndedError) -> None:
        """Count the end of a stream, or of an attempt at one."""
        self.presence.last_end = str(end)
        self._ends.labels(self._client, end.code).inc()
        self.reconnects.inc()

    def read(self, updates: int) -> None:
        """Note that so many updates have been read, and are to be processed one by one."""
        self._unprocessed = updates

    def begin(self, update: StockUpdate) -> None:
        """Note that the processing of an update begins."""
        self._working_on = update

    def complete(self, update: StockUpdate, now: float) -> float:
        """Count an update that has been processed at that Unix time; return its age in seconds, NaN: not known."""
        timestamp = update.timestamp
        if timestamp != self._last_timestamp:  # of several at once, many were made in the same millisecond
            self._last_timestamp, self._last_made_at = timestamp, made_at(update)
        age = self._server_clock.age(self._last_made_at, now)
        self._processed.add(age)
        self._working_on = None
        self._unprocessed -= 1
        return age

    def _working_age_seconds(self) -> float:
        working_on = self._working_on
        return 0.0 if working_on is None else self._server_clock.age(made_at(working_on), time.time())


def made_at(update: StockUpdate) -> float | None:
    """Return when an update was made, as Unix time in seconds; None where its timestamp is not RFC 3339."""
    try:
        return datetime.fromisoformat(update.timestamp).timestamp()
    except ValueError:
        return None
