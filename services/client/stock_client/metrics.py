"""The client's own metrics; those of flow control come from `flowcontrol`."""

from __future__ import annotations

import time
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from flowcontrol.keepalive import DEFAULT_TIME_SECONDS
from stock_client.ending import StreamEndedError
from stock_client.presence import Presence
from stockservice.stock_pb2 import StockUpdate

AGE_BUCKETS_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1200, 3600)


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
        self.processed = Counter("stock_updates_received", "Stock updates received and processed.", registry=registry)
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
        self.age = Histogram(
            "stock_client_update_age_seconds",
            "Age of an update when its processing was done, by the clocks of both hosts.",
            ["client"],
            buckets=AGE_BUCKETS_SECONDS,
            registry=registry,
        ).labels(client)
        working_age = Gauge(
            "stock_client_working_age_seconds",
            "Age of the update that is being processed; 0 while the client waits for one.",
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
        self._working_on: float | None = None
        self._unprocessed = 0

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
        self._working_on = made_at(update)

    def complete(self) -> float:
        """Count the update that `begin` named; return its age in seconds."""
        age = self._working_age_seconds()
        self.processed.inc()
        self.age.observe(age)
        self._working_on = None
        self._unprocessed -= 1
        return age

    def _working_age_seconds(self) -> float:
        working_on = self._working_on
        return 0.0 if working_on is None else max(0.0, time.time() - working_on)


def made_at(update: StockUpdate) -> float | None:
    """Return when an update was made, as Unix time in seconds; None where its timestamp is not RFC 3339."""
    try:
        return datetime.fromisoformat(update.timestamp).timestamp()
    except ValueError:
        return None
