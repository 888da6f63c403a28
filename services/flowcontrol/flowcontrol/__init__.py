"""See, bound and measure HTTP/2 flow control in gRPC services; `flowcontrol.sync` is for the synchronous API."""

from flowcontrol.books.book import Book, ReceiveBook, SendBook
from flowcontrol.books.consumers import ConsumerEvent, ConsumerWatch, Thresholds
from flowcontrol.books.ledger import Account, Ledger, Statement
from flowcontrol.client.interceptor import FlowControlClientInterceptor
from flowcontrol.gather import Batch, BatchLimit, Entries, Gathering
from flowcontrol.identity import Identity, is_client_name
from flowcontrol.keepalive import Keepalive
from flowcontrol.log.conflate import ConflateReader
from flowcontrol.log.disconnect import DisconnectReader
from flowcontrol.log.in_order import DEFAULT_BUFFER_MESSAGES, DropOldestReader, ReplayReader
from flowcontrol.log.message_log import LogBounds, LogState, MessageLog
from flowcontrol.log.reader import LogReader
from flowcontrol.metrics.both_ends import CLIENT_METRICS, SERVER_METRICS
from flowcontrol.metrics.collector import LedgerCollector
from flowcontrol.server.interceptor import FlowControlServerInterceptor
from flowcontrol.server.serializer import SharedMessage
from flowcontrol.server.stream import MeasuredStream, current_stream
from flowcontrol.window import DEFAULT_WINDOW_BYTES, Window, wire_bytes

__version__ = "1.0.0"

__all__ = [
    "CLIENT_METRICS",
    "DEFAULT_BUFFER_MESSAGES",
    "DEFAULT_WINDOW_BYTES",
    "SERVER_METRICS",
    "Account",
    "Batch",
    "BatchLimit",
    "Book",
    "ConflateReader",
    "ConsumerEvent",
    "ConsumerWatch",
    "DisconnectReader",
    "DropOldestReader",
    "Entries",
    "FlowControlClientInterceptor",
    "FlowControlServerInterceptor",
    "Gathering",
    "Identity",
    "Keepalive",
    "Ledger",
    "LedgerCollector",
    "LogBounds",
    "LogReader",
    "LogState",
    "MeasuredStream",
    "MessageLog",
    "ReceiveBook",
    "ReplayReader",
    "SendBook",
    "SharedMessage",
    "Statement",
    "Thresholds",
    "Window",
    "current_stream",
    "is_client_name",
    "wire_bytes",
]
