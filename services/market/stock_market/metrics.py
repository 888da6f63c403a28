"""The market's own metrics."""

from __future__ import annotations

import time

from prometheus_client import CollectorRegistry, Counter, Gauge


class MarketMetrics:
    """What the market has stored, and whether it is the one that makes the updates."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._active = Gauge(
            "stock_market_active",
            "1: this market makes the updates; 0: it stands by, or has no NATS.",
            registry=registry,
        )
        self._published = Counter(
            "stock_market_published_updates", "Updates that NATS has stored for this market.", registry=registry
        )
        self._last = Gauge(
            "stock_market_last_update_timestamp_seconds",
            "When an update of any market was last stored, as far as this one knows.",
            registry=registry,
        )
        self._sequence = Gauge(
            "stock_market_stream_sequence", "Sequence of the newest update in the stream.", registry=registry
        )
        self._failures = Counter(
            "stock_market_feed_failures", "Times that NATS could not be had, or not any more.", registry=registry
        )
        self._overtaken = Counter(
            "stock_market_overtaken", "Times that another market has published first.", registry=registry
        )

    def stands_by(self) -> None:
        """Make no updates from now on."""
        self._active.set(0)

    def is_active(self) -> None:
        """Make the updates from now on."""
        self._active.set(1)

    def has_stored(self, updates: int, sequence: int) -> None:
        """Count updates that NATS has acknowledged."""
        self._published.inc(updates)
        self.has_seen(sequence)

    def has_seen(self, sequence: int) -> None:
        """Note an update that is new."""
        self._sequence.set(sequence)
        self._last.set(time.time())

    def has_failed(self) -> None:
        """Count a failure of NATS."""
        self._failures.inc()

    def was_overtaken(self) -> None:
        """Count that another market came first."""
        self._overtaken.inc()
