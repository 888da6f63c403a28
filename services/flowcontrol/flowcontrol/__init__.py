"""See, bound and measure HTTP/2 flow control in `grpc.aio` services."""

from flowcontrol.books.book import Book, ReceiveBook, SendBook
from flowcontrol.books.consumers import ConsumerEvent, ConsumerWatch, Thresholds
from flowcontrol.books.ledger import Account, Ledger, Statement
from flowcontrol.buffers import ConflateBuffer, DisconnectBuffer, DropOldestBuffer, StreamBuffer
from flowcontrol.client.interceptor import FlowControlClientInterceptor
from flowcontrol.gather import Batch, BatchLimit, Entries, Gathering
from flowcontrol.identity import Identity, is_client_name
from flowcontrol.keepalive import Keepalive
from flowcontrol.metrics.both_ends import CLIENT_METRICS, SERVER_METRICS
from flowcontrol.metrics.collector import LedgerCollector
from flowcontrol.server.interceptor import FlowControlServerInterceptor
from flowcontrol.server.serializer import SharedMessage
from flowcontrol.server.stream import MeasuredStream, current_stream
from flowcontrol.window import DEFAULT_WINDOW_BYTES, Window, wire_bytes

__all__ = [
    "CLIENT_METRICS",
    "DEFAULT_WINDOW_BYTES",
    "SERVER_METRICS",
    "Account",
    "Batch",
    "BatchLimit",
    "Book",
    "ConflateBuffer",
    "ConsumerEvent",
    "ConsumerWatch",
    "DisconnectBuffer",
    "DropOldestBuffer",
    "Entries",
    "FlowControlClientInterceptor",
    "FlowControlServerInterceptor",
    "Gathering",
    "Identity",
    "Keepalive",
    "Ledger",
    "LedgerCollector",
    "MeasuredStream",
    "ReceiveBook",
    "SendBook",
    "SharedMessage",
    "Statement",
    "StreamBuffer",
    "Thresholds",
    "Window",
    "current_stream",
    "is_client_name",
    "wire_bytes",
]
