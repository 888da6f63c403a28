"""The metrics of both ends, each declared once, and the collector that reads them off a ledger at every scrape."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeAlias

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from flowcontrol.book import TRANSITIONS, ConsumerState, ReceiveBook, SendBook
from flowcontrol.ledger import Account, BookType, Ledger


@dataclass(frozen=True)
class AccountMetric(Generic[BookType]):
    """A metric with the labels `method` and `client`, and how to read it off a client's account."""

    name: str
    kind: Literal["counter", "gauge"]
    help: str
    read: Callable[[Account[BookType], float], float]
    labels: tuple[str, ...] = ("method", "client")


@dataclass(frozen=True)
class SplitMetric(Generic[BookType]):
    """A metric as `AccountMetric`, with one label more; `read` returns a figure for each of that label's values."""

    name: str
    kind: Literal["counter", "gauge"]
    help: str
    label: str
    read: Callable[[Account[BookType], float], Mapping[str, float]]

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of all labels."""
        return ("method", "client", self.label)


@dataclass(frozen=True)
class MethodMetric:
    """A counter with the label `method`: the counts of all clients, forgotten ones too."""

    name: str
    help: str
    tally: str
    kind: Literal["counter"] = "counter"
    labels: tuple[str, ...] = ("method",)


DeclaredMetric: TypeAlias = AccountMetric[BookType] | SplitMetric[BookType] | MethodMetric


def _total(tally: str) -> Callable[[Account[Any], float], float]:
    return lambda account, now: account.tally(now).get(tally, 0)


SERVER_METRICS: tuple[DeclaredMetric[SendBook], ...] = (
    AccountMetric(
        "flowcontrol_server_sent_messages_total",
        "counter",
        "Messages that the transport has accepted.",
        _total("messages"),
    ),
    AccountMetric(
        "flowcontrol_server_sent_bytes_total",
        "counter",
        "Bytes on the wire of the messages sent, the gRPC prefix included.",
        _total("bytes"),
    ),
    AccountMetric(
        "flowcontrol_server_write_blocked_seconds_total",
        "counter",
        "Seconds in which a write waited for the client to read.",
        _total("write_blocked_seconds"),
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
        lambda account, now: sum(book.wire_bytes for book in account.open_books),
    ),
    AccountMetric(
        "flowcontrol_server_produced_messages_total",
        "counter",
        "Messages made for the client's streams: sent, dropped, or waiting.",
        _total("produced"),
    ),
    AccountMetric(
        "flowcontrol_server_dropped_messages_total",
        "counter",
        "Messages made and never sent, by policy or because the stream ended.",
        _total("dropped"),
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
    MethodMetric(
        "flowcontrol_server_method_sent_messages_total",
        "Messages sent to all clients, those included whose own series have gone.",
        "messages",
    ),
    MethodMetric(
        "flowcontrol_server_method_sent_bytes_total",
        "Bytes on the wire sent to all clients, those included whose own series have gone.",
        "bytes",
    ),
)

CLIENT_METRICS: tuple[DeclaredMetric[ReceiveBook], ...] = (
    AccountMetric(
        "flowcontrol_client_received_messages_total",
        "counter",
        "Messages that the application has read.",
        _total("messages"),
    ),
    AccountMetric(
        "flowcontrol_client_received_bytes_total",
        "counter",
        "Bytes on the wire of the messages read, the gRPC prefix included.",
        _total("bytes"),
    ),
    AccountMetric(
        "flowcontrol_client_read_waiting_seconds_total",
        "counter",
        "Seconds in which a read waited for a message.",
        _total("read_waiting_seconds"),
    ),
    AccountMetric(
        "flowcontrol_client_processing_seconds_total",
        "counter",
        "Seconds between reads, in which the application was at work.",
        _total("processing_seconds"),
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
        lambda account, now: sum(book.wire_bytes for book in account.open_books),
    ),
    AccountMetric(
        "flowcontrol_client_window_bytes",
        "gauge",
        "Receive window of each stream; 0: grpc tunes it by itself, so nothing bounds what is in flight.",
        lambda account, now: account.window_bytes,
    ),
)


class LedgerCollector(Collector, Generic[BookType]):
    """Turns a ledger's statement into Prometheus series, so that they are right also in the middle of a write."""

    def __init__(self, ledger: Ledger[BookType], metrics: tuple[DeclaredMetric[BookType], ...]) -> None:
        self._ledger = ledger
        self._metrics = metrics

    def describe(self) -> Iterator[Metric]:
        """Yield the metrics without samples, so that registering does not read the ledger."""
        for metric in self._metrics:
            yield _family(metric)

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics as they stand."""
        statement = self._ledger.statement()
        for metric in self._metrics:
            family = _family(metric)
            if isinstance(metric, MethodMetric):
                for method, tally in statement.methods.items():
                    family.add_metric([method], tally.get(metric.tally, 0))
            elif isinstance(metric, SplitMetric):
                for key, account in statement.accounts.items():
                    for value, figure in metric.read(account, statement.now).items():
                        family.add_metric([*key, value], figure)
            else:
                for key, account in statement.accounts.items():
                    family.add_metric(list(key), metric.read(account, statement.now))
            yield family


def _family(metric: DeclaredMetric[Any]) -> CounterMetricFamily | GaugeMetricFamily:
    family = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    return family(metric.name, metric.help, labels=metric.labels)
