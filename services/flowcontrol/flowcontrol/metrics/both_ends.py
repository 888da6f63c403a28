"""The metrics of both ends and both directions, each declared once.

A name that tells no direction means downloads, what a server sends and a client receives; uploads have `upload_` in it.
"""

from __future__ import annotations

from typing import Any

from flowcontrol.books.book import ReceiveBook, SendBook
from flowcontrol.metrics.declared import DeclaredMetric, LedgerMetric
from flowcontrol.metrics.received import received_metrics
from flowcontrol.metrics.sent import sent_metrics


def _faults(end: str) -> LedgerMetric:
    return LedgerMetric(
        f"flowcontrol_{end}_faults_total",
        "Faults inside of measuring; the streams went on.",
        lambda ledger: ledger.faults.count,
    )


SERVER_SENT_METRICS: tuple[DeclaredMetric[SendBook], ...] = (*sent_metrics("server", "streams", ""), _faults("server"))
SERVER_RECEIVED_METRICS: tuple[DeclaredMetric[ReceiveBook], ...] = (*received_metrics("server", "uploads", "upload_"),)
CLIENT_RECEIVED_METRICS: tuple[DeclaredMetric[ReceiveBook], ...] = (
    *received_metrics("client", "streams", ""),
    _faults("client"),
)
CLIENT_SENT_METRICS: tuple[DeclaredMetric[SendBook], ...] = (*sent_metrics("client", "uploads", "upload_"),)

SERVER_METRICS: tuple[DeclaredMetric[Any], ...] = (*SERVER_SENT_METRICS, *SERVER_RECEIVED_METRICS)
"""All that a server exports, in both directions."""
CLIENT_METRICS: tuple[DeclaredMetric[Any], ...] = (*CLIENT_RECEIVED_METRICS, *CLIENT_SENT_METRICS)
"""All that a client exports, in both directions."""
