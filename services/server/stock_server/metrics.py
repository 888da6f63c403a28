"""The server's own metrics; those of flow control come from `flowcontrol`."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.metrics_core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from flowcontrol import Ledger, SendBook
from stock_server.service import GET_UPDATES

UPDATES_SENT = "stock_updates_sent_total"
STREAM_LIMIT = "stock_server_stream_limit"


def register_metrics(registry: CollectorRegistry, ledger: Ledger[SendBook], max_streams: int) -> None:
    """Add the server's metrics to `registry`."""
    registry.register(UpdatesSent(ledger))
    Gauge(STREAM_LIMIT, "Streams that the server takes at once.", registry=registry).set(max_streams)


class UpdatesSent(Collector):
    """The original program's counter, read off the ledger: an update counts once the transport has accepted it."""

    def __init__(self, ledger: Ledger[SendBook]) -> None:
        self._ledger = ledger

    def collect(self) -> Iterator[Metric]:
        """Yield the counter."""
        sent = self._ledger.statement().methods.get(GET_UPDATES, {}).get("messages", 0)
        yield CounterMetricFamily(UPDATES_SENT, "Stock updates sent to all clients.", value=sent)
