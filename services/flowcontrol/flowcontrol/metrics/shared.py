"""What the metrics of either end have in both directions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flowcontrol.metrics.declared import AccountMetric, MethodMetric, known_bytes, total


def of_streams(name: str, streams: str, upload: str) -> Iterator[AccountMetric[Any]]:
    """Yield how many there are and have been."""
    yield AccountMetric(
        f"{name}{upload}streams_opened_total",
        "counter",
        f"{streams.capitalize()} that the client has opened.",
        lambda account, now: account.opened_streams,
    )
    yield AccountMetric(
        f"{name}{upload}streams",
        "gauge",
        f"{streams.capitalize()} that the client has open now.",
        lambda account, now: len(account.open_books),
    )
    yield AccountMetric(
        f"{name}{upload}stream_ids",
        "gauge",
        f"Sum of the ids of the open {streams}; both ends mean the same streams where theirs are equal.",
        lambda account, now: sum(book.identity.stream_id for book in account.open_books),
    )


def unsized(name: str, upload: str, done: str) -> AccountMetric[Any]:
    """Return the count of messages whose size is not known."""
    return AccountMetric(
        f"{name}{upload}unsized_messages_total",
        "counter",
        f"Messages {done} whose bytes on the wire are not known; with any, the series of bytes are absent.",
        total("unsized"),
    )


def of_method(end: str, word: str, done: str) -> Iterator[MethodMetric]:
    """Yield what a server keeps of a method when its clients' series have gone."""
    if end == "client":
        return  # it has few names, its own
    clients = "all clients, those included whose own series have gone."
    yield MethodMetric(
        f"flowcontrol_server_method_{word}_messages_total",
        f"Messages {done} {clients}",
        lambda tally: tally.get("messages", 0),
    )
    yield MethodMetric(
        f"flowcontrol_server_method_{word}_bytes_total", f"Bytes on the wire {done} {clients}", known_bytes
    )
