"""The metrics of both ends and both directions, each declared once.

A name that tells no direction means downloads, what a server sends and a client receives; uploads have `upload_` in it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from flowcontrol.books.book import TRANSITIONS, ConsumerState, ReceiveBook, SendBook
from flowcontrol.metrics.declared import (
    AccountMetric,
    DeclaredMetric,
    LedgerMetric,
    MethodMetric,
    SplitMetric,
    known_bytes,
    open_bytes,
    total,
)

OTHER_END = {"server": "client", "client": "server"}


def _sent(end: str, streams: str, upload: str) -> Iterator[DeclaredMetric[SendBook]]:
    """Yield what an end exports of the streams that it sends; `streams` is what help texts call them."""
    name, reader = f"flowcontrol_{end}_", OTHER_END[end]
    yield AccountMetric(
        f"{name}sent_messages_total",
        "counter",
        "Messages that the transport has accepted; a batch counts as those that it holds.",
        total("messages"),
    )
    yield AccountMetric(
        f"{name}sent_batches_total",
        "counter",
        "gRPC messages in which these were sent; fewer where some hold several.",
        total("batches"),
    )
    yield AccountMetric(
        f"{name}sent_bytes_total",
        "counter",
        "Bytes on the wire of the messages sent, the gRPC prefix included.",
        lambda account, now: known_bytes(account.tally(now)),
    )
    yield AccountMetric(
        f"{name}write_blocked_seconds_total",
        "counter",
        f"Seconds in which a write waited for the {reader} to read.",
        total("write_blocked_seconds"),
    )
    yield AccountMetric(
        f"{name}write_blocked_now_seconds",
        "gauge",
        "For how long the longest write under way has been blocked; 0: none is.",
        lambda account, now: max((book.writing.lap_seconds(now) for book in account.open_books), default=0),
    )
    yield from _streams(name, streams, upload)
    yield AccountMetric(
        f"{name}open_streams_sent_messages",
        "gauge",
        f"Messages sent on the {streams} open now.",
        lambda account, now: sum(book.messages for book in account.open_books),
    )
    yield AccountMetric(
        f"{name}open_streams_sent_bytes",
        "gauge",
        f"Bytes on the wire sent on the {streams} open now.",
        lambda account, now: open_bytes(account),
    )
    yield AccountMetric(
        f"{name}produced_messages_total",
        "counter",
        f"Messages made for the client's {streams}: sent, dropped, or waiting.",
        total("produced"),
    )
    yield AccountMetric(
        f"{name}dropped_messages_total",
        "counter",
        "Messages made and never sent, by policy or because the stream ended.",
        total("dropped"),
    )
    yield AccountMetric(
        f"{name}waiting_messages",
        "gauge",
        f"Messages that wait in the {end}.",
        lambda account, now: sum(book.waiting for book in account.open_books),
    )
    yield AccountMetric(
        f"{name}{upload}held_back_streams",
        "gauge",
        f"Open {streams} whose {reader} holds them back, the stopped ones included.",
        lambda account, now: sum(book.state is not ConsumerState.KEEPING_UP for book in account.open_books),
    )
    yield AccountMetric(
        f"{name}{upload}stopped_streams",
        "gauge",
        f"Open {streams} on which no write has got through for a long time.",
        lambda account, now: sum(book.state is ConsumerState.STOPPED for book in account.open_books),
    )
    yield SplitMetric(
        f"{name}{upload}consumer_transitions_total",
        "counter",
        f"How often a {reader} became held_back, stopped, recovered.",
        "to",
        lambda account, now: {to: account.tally(now).get(f"transitions_{to}", 0) for to in TRANSITIONS},
    )
    yield SplitMetric(
        f"{name}{upload}policy_streams",
        "gauge",
        f"Open {streams} by what is done with messages that the {reader} is too slow for.",
        "policy",
        lambda account, now: Counter(book.policy for book in account.open_books),
    )
    yield AccountMetric(
        f"{name}{upload}compressed_streams",
        "gauge",
        f"Open {streams} whose messages may be compressed, so that their bytes on the wire are not known.",
        lambda account, now: sum(book.compressed for book in account.open_books),
    )
    if end == "server":
        yield from _known_to_the_server(name)
    yield _unsized(name, upload, "sent")
    yield from _of_method(end, "sent", "sent to")


def _known_to_the_server(name: str) -> Iterator[DeclaredMetric[SendBook]]:
    """Yield what a server can tell of a client that exports no metrics."""
    yield AccountMetric(
        f"{name}declared_window_bytes",
        "gauge",
        "Receive window that the client declares of its newest stream; 0: autotuned; absent: it declares none.",
        lambda account, now: _declared_window(account.open_books),
    )
    yield AccountMetric(
        f"{name}blocked_in_flight_messages",
        "gauge",
        "Messages in flight on streams whose write is blocked, as the server estimates: a window's worth.",
        lambda account, now: _known_sum(book.blocked_in_flight_messages(now) for book in account.open_books),
    )


def _declared_window(books: list[SendBook]) -> int | None:
    declared = [book.identity.window for book in books if book.identity.window is not None]
    return (declared[-1].size_bytes or 0) if declared else None


def _known_sum(figures: Iterable[int | None]) -> int | None:
    known = [figure for figure in figures if figure is not None]
    return sum(known) if known else None


def _received(end: str, streams: str, upload: str) -> Iterator[DeclaredMetric[ReceiveBook]]:
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
    yield from _streams(name, streams, upload)
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
    yield _unsized(name, upload, "read")
    yield from _of_method(end, "received", "read from")


def _streams(name: str, streams: str, upload: str) -> Iterator[AccountMetric[Any]]:
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


def _unsized(name: str, upload: str, done: str) -> AccountMetric[Any]:
    return AccountMetric(
        f"{name}{upload}unsized_messages_total",
        "counter",
        f"Messages {done} whose bytes on the wire are not known; with any, the series of bytes are absent.",
        total("unsized"),
    )


def _of_method(end: str, word: str, done: str) -> Iterator[MethodMetric]:
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


def _faults(end: str) -> LedgerMetric:
    return LedgerMetric(
        f"flowcontrol_{end}_faults_total",
        "Faults inside of measuring; the streams went on.",
        lambda ledger: ledger.faults.count,
    )


SERVER_SENT_METRICS: tuple[DeclaredMetric[SendBook], ...] = (*_sent("server", "streams", ""), _faults("server"))
SERVER_RECEIVED_METRICS: tuple[DeclaredMetric[ReceiveBook], ...] = (*_received("server", "uploads", "upload_"),)
CLIENT_RECEIVED_METRICS: tuple[DeclaredMetric[ReceiveBook], ...] = (
    *_received("client", "streams", ""),
    _faults("client"),
)
CLIENT_SENT_METRICS: tuple[DeclaredMetric[SendBook], ...] = (*_sent("client", "uploads", "upload_"),)

SERVER_METRICS: tuple[DeclaredMetric[Any], ...] = (*SERVER_SENT_METRICS, *SERVER_RECEIVED_METRICS)
"""All that a server exports, in both directions."""
CLIENT_METRICS: tuple[DeclaredMetric[Any], ...] = (*CLIENT_RECEIVED_METRICS, *CLIENT_SENT_METRICS)
"""All that a client exports, in both directions."""
