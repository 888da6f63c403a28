"""The metrics of both ends, each declared once."""

from __future__ import annotations

from collections import Counter

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

SERVER_METRICS: tuple[DeclaredMetric[SendBook], ...] = (
    AccountMetric(
        "flowcontrol_server_sent_messages_total",
        "counter",
        "Messages that the transport has accepted.",
        total("messages"),
    ),
    AccountMetric(
        "flowcontrol_server_sent_bytes_total",
        "counter",
        "Bytes on the wire of the messages sent, the gRPC prefix included.",
        lambda account, now: known_bytes(account.tally(now)),
    ),
    AccountMetric(
        "flowcontrol_server_write_blocked_seconds_total",
        "counter",
        "Seconds in which a write waited for the client to read.",
        total("write_blocked_seconds"),
    ),
    AccountMetric(
        "flowcontrol_server_write_blocked_now_seconds",
        "gauge",
        "For how long the longest write under way has been blocked; 0: none is.",
        lambda account, now: max((book.writing.lap_seconds(now) for book in account.open_books), default=0),
    ),
    AccountMetric(
        "flowcontrol_server_streams_opened_total",
        "counter",
        "Streams that the client has opened.",
        lambda account, now: account.opened_streams,
    ),
    AccountMetric(
        "flowcontrol_server_streams",
        "gauge",
        "Streams that the client has open now.",
        lambda account, now: len(account.open_books),
    ),
    AccountMetric(
        "flowcontrol_server_stream_ids",
        "gauge",
        "Sum of the ids of the open streams; both ends mean the same streams where theirs are equal.",
        lambda account, now: sum(book.identity.stream_id for book in account.open_books),
    ),
    AccountMetric(
        "flowcontrol_server_open_streams_sent_messages",
        "gauge",
        "Messages sent on the streams open now.",
        lambda account, now: sum(book.messages for book in account.open_books),
    ),
    AccountMetric(
        "flowcontrol_server_open_streams_sent_bytes",
        "gauge",
        "Bytes on the wire sent on the streams open now.",
        lambda account, now: open_bytes(account),
    ),
    AccountMetric(
        "flowcontrol_server_produced_messages_total",
        "counter",
        "Messages made for the client's streams: sent, dropped, or waiting.",
        total("produced"),
    ),
    AccountMetric(
        "flowcontrol_server_dropped_messages_total",
        "counter",
        "Messages made and never sent, by policy or because the stream ended.",
        total("dropped"),
    ),
    AccountMetric(
        "flowcontrol_server_waiting_messages",
        "gauge",
        "Messages that wait in the server.",
        lambda account, now: sum(book.waiting for book in account.open_books),
    ),
    AccountMetric(
        "flowcontrol_server_held_back_streams",
        "gauge",
        "Open streams whose client holds them back, the stopped ones included.",
        lambda account, now: sum(book.state is not ConsumerState.KEEPING_UP for book in account.open_books),
    ),
    AccountMetric(
        "flowcontrol_server_stopped_streams",
        "gauge",
        "Open streams on which no write has got through for a long time.",
        lambda account, now: sum(book.state is ConsumerState.STOPPED for book in account.open_books),
    ),
    SplitMetric(
        "flowcontrol_server_consumer_transitions_total",
        "counter",
        "How often a client became held_back, stopped, recovered.",
        "to",
        lambda account, now: {to: account.tally(now).get(f"transitions_{to}", 0) for to in TRANSITIONS},
    ),
    SplitMetric(
        "flowcontrol_server_policy_streams",
        "gauge",
        "Open streams by what is done with messages that the client is too slow for.",
        "policy",
        lambda account, now: Counter(book.policy for book in account.open_books),
    ),
    AccountMetric(
        "flowcontrol_server_compressed_streams",
        "gauge",
        "Open streams whose messages may be compressed, so that their bytes on the wire are not known.",
        lambda account, now: sum(book.compressed for book in account.open_books),
    ),
    AccountMetric(
        "flowcontrol_server_unsized_messages_total",
        "counter",
        "Messages sent whose bytes on the wire are not known; with any, the series of bytes are absent.",
        total("unsized"),
    ),
    MethodMetric(
        "flowcontrol_server_method_sent_messages_total",
        "Messages sent to all clients, those included whose own series have gone.",
        lambda tally: tally.get("messages", 0),
    ),
    MethodMetric(
        "flowcontrol_server_method_sent_bytes_total",
        "Bytes on the wire sent to all clients, those included whose own series have gone.",
        known_bytes,
    ),
    LedgerMetric(
        "flowcontrol_server_faults_total",
        "Faults inside of measuring; the streams went on.",
        lambda ledger: ledger.faults.count,
    ),
)

CLIENT_METRICS: tuple[DeclaredMetric[ReceiveBook], ...] = (
    AccountMetric(
        "flowcontrol_client_received_messages_total",
        "counter",
        "Messages that the application has read.",
        total("messages"),
    ),
    AccountMetric(
        "flowcontrol_client_received_bytes_total",
        "counter",
        "Bytes of the messages read, the gRPC prefix included: on the wire; before compression, if there is any.",
        lambda account, now: known_bytes(account.tally(now)),
    ),
    AccountMetric(
        "flowcontrol_client_read_waiting_seconds_total",
        "counter",
        "Seconds in which a read waited for a message.",
        total("read_waiting_seconds"),
    ),
    AccountMetric(
        "flowcontrol_client_processing_seconds_total",
        "counter",
        "Seconds between reads, in which the application was at work.",
        total("processing_seconds"),
    ),
    AccountMetric(
        "flowcontrol_client_streams_opened_total",
        "counter",
        "Streams that this client has opened.",
        lambda account, now: account.opened_streams,
    ),
    AccountMetric(
        "flowcontrol_client_streams",
        "gauge",
        "Streams that this client has open now.",
        lambda account, now: len(account.open_books),
    ),
    AccountMetric(
        "flowcontrol_client_stream_ids",
        "gauge",
        "Sum of the ids of the open streams; both ends mean the same streams where theirs are equal.",
        lambda account, now: sum(book.identity.stream_id for book in account.open_books),
    ),
    AccountMetric(
        "flowcontrol_client_open_streams_received_messages",
        "gauge",
        "Messages read on the streams open now.",
        lambda account, now: sum(book.messages for book in account.open_books),
    ),
    AccountMetric(
        "flowcontrol_client_open_streams_received_bytes",
        "gauge",
        "Bytes on the wire read on the streams open now.",
        lambda account, now: open_bytes(account),
    ),
    AccountMetric(
        "flowcontrol_client_window_bytes",
        "gauge",
        "Receive window of each stream; 0: grpc tunes it by itself, so nothing bounds what is in flight.",
        lambda account, now: account.window_bytes,
    ),
    AccountMetric(
        "flowcontrol_client_unsized_messages_total",
        "counter",
        "Messages read whose bytes on the wire are not known; with any, the series of bytes are absent.",
        total("unsized"),
    ),
    LedgerMetric(
        "flowcontrol_client_faults_total",
        "Faults inside of measuring; the streams went on.",
        lambda ledger: ledger.faults.count,
    ),
)
