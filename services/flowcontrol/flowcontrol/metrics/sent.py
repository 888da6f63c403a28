"""The metrics of streams at the end that sends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from flowcontrol.books.book import TRANSITIONS, ConsumerState, SendBook
from flowcontrol.metrics.declared import AccountMetric, DeclaredMetric, SplitMetric, known_bytes, open_bytes, total
from flowcontrol.metrics.shared import of_method, of_streams, unsized

OTHER_END = {"server": "client", "client": "server"}


def sent_metrics(end: str, streams: str, upload: str) -> Iterator[DeclaredMetric[SendBook]]:
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
    yield from of_streams(name, streams, upload)
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
    yield unsized(name, upload, "sent")
    yield from of_method(end, "sent", "sent to")


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
