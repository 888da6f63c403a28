"""The server's own metrics; those of flow control come from `flowcontrol`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from flowcontrol import Ledger, SendBook
from stock_server.streams.feed import FAULTS
from stock_server.streams.service import METHODS

UPDATES_SENT = "stock_updates_sent_total"
STREAMS = "stock_server_streams"
STREAM_LIMIT = "stock_server_stream_limit"
KEEPALIVE_TIME = "stock_server_keepalive_time_seconds"
EXPECTED_CLIENTS = "stock_server_expected_clients"
PRESENT_CLIENTS = "stock_server_present_clients"


def register_metrics(
    registry: CollectorRegistry,
    ledger: Ledger[SendBook],
    *,
    max_streams: int,
    keepalive_time_seconds: float,
    open_streams: Callable[[], int],
    expected_clients: Sequence[str] = (),
) -> None:
    """Add the server's metrics to `registry`. `open_streams` returns how many streams the limit counts now."""
    registry.register(UpdatesSent(ledger))
    Gauge(STREAMS, "Streams open now that count against the limit.", registry=registry).set_function(open_streams)
    Gauge(STREAM_LIMIT, "Streams that the server takes at once.", registry=registry).set(max_streams)
    # how often a slow client gives back what it has read of its window: with the answer to a ping
    Gauge(KEEPALIVE_TIME, "Seconds between pings of a client.", registry=registry).set(keepalive_time_seconds)
    registry.register(ExpectedClients(ledger, expected_clients))
    registry.register(FAULTS)


class UpdatesSent(Collector):
    """The original program's counter, read off the ledger: an update counts once the transport has accepted it."""

    def __init__(self, ledger: Ledger[SendBook]) -> None:
        self._ledger = ledger

    def collect(self) -> Iterator[Metric]:
        """Yield the counter."""
        methods = self._ledger.statement().methods
        sent = sum(methods.get(method, {}).get("messages", 0) for method in METHODS)
        yield CounterMetricFamily(UPDATES_SENT, "Stock updates sent to all clients.", value=sent)


class ExpectedClients(Collector):
    """Which clients should be here, and how many of each are, by the names that they declare."""

    def __init__(self, ledger: Ledger[SendBook], expected: Sequence[str]) -> None:
        self._ledger = ledger
        self._expected = expected

    def collect(self) -> Iterator[Metric]:
        """Yield both gauges."""
        expected = GaugeMetricFamily(EXPECTED_CLIENTS, "Clients that should be here: 1 for each name.", labels=["name"])
        present = GaugeMetricFamily(PRESENT_CLIENTS, "Expected clients with a stream open now.", labels=["name"])
        clients = {book.identity.client for book in self._ledger.open_books() if book.method in METHODS}
        for name in self._expected:
            expected.add_metric([name], 1)
            present.add_metric([name], sum(client == name or client.startswith(f"{name}-") for client in clients))
        yield expected
        yield present
