"""The metrics of streams at the end that receives."""

from __future__ import annotations

from collections.abc import Iterator

from flowcontrol.books.book import ReceiveBook
from flowcontrol.metrics.declared import AccountMetric, DeclaredMetric, known_bytes, open_bytes, total
from flowcontrol.metrics.shared import of_method, of_streams, unsized


def received_metrics(end: str, streams: str, upload: str) -> Iterator[DeclaredMetric[ReceiveBook]]:
    """Yield what an end exports of the streams that it receives; `streams` is what help texts call them."""
    name, reader = f"flowcontrol_{end}_", {"client": "application", "server": "handler"}[end]
    yield AccountMetric(
        f"{name}received_messages_total",
        "counter",
        f"Messages that the {reader} has read; a batch counts as those that it holds.",
        total("messages"),
    )
    yield AccountMetric(
        f"{name}received_batches_total",
        "counter",
        "gRPC messages in which these have come; fewer where some hold several.",
        total("batches"),
    )
    yield AccountMetric(
        f"{name}received_bytes_total",
        "counter",
        "Bytes of the messages read, the gRPC prefix included: on the wire; before compression, if there is any.",
        lambda account, now: known_bytes(account.tally(now)),
    )
    yield AccountMetric(
        f"{name}read_waiting_seconds_total",
        "counter",
        "Seconds in which a read waited for a message.",
        total("read_waiting_seconds"),
    )
    yield AccountMetric(
        f"{name}processing_seconds_total",
        "counter",
        f"Seconds between reads, in which the {reader} was at work.",
        total("processing_seconds"),
    )
    yield from of_streams(name, streams, upload)
    yield AccountMetric(
        f"{name}open_streams_received_messages",
        "gauge",
        f"Messages read on the {streams} open now.",
        lambda account, now: sum(book.messages for book in account.open_books),
    )
    yield AccountMetric(
        f"{name}open_streams_received_bytes",
        "gauge",
        f"Bytes on the wire read on the {streams} open now.",
        lambda account, now: open_bytes(account),
    )
    yield AccountMetric(
        f"{name}{upload}window_bytes",
        "gauge",
        f"Receive window of each {streams[:-1]}; 0: grpc tunes it by itself, so nothing bounds what is in flight.",
        lambda account, now: account.window_bytes,
    )
    yield unsized(name, upload, "read")
    yield from of_method(end, "received", "read from")
