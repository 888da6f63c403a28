"""See, bound and measure HTTP/2 flow control in `grpc.aio` services."""

from flowcontrol.book import Book, ReceiveBook, SendBook
from flowcontrol.buffers import ConflateBuffer, DisconnectBuffer, DropOldestBuffer, StreamBuffer
from flowcontrol.client import FlowControlClientInterceptor
from flowcontrol.consumers import ConsumerEvent, ConsumerWatch, Thresholds
from flowcontrol.context import MeasuredContext
from flowcontrol.identity import Identity, is_client_name
from flowcontrol.ledger import Account, Ledger, Statement
from flowcontrol.metrics import CLIENT_METRICS, SERVER_METRICS, LedgerCollector
from flowcontrol.server import FlowControlServerInterceptor
from flowcontrol.window import DEFAULT_WINDOW_BYTES, Window, wire_bytes

__all__ = [
    "CLIENT_METRICS",
    "DEFAULT_WINDOW_BYTES",
    "SERVER_METRICS",
    "Account",
    "Book",
    "ConflateBuffer",
    "ConsumerEvent",
    "ConsumerWatch",
    "DisconnectBuffer",
    "DropOldestBuffer",
    "FlowControlClientInterceptor",
    "FlowControlServerInterceptor",
    "Identity",
    "Ledger",
    "LedgerCollector",
    "MeasuredContext",
    "ReceiveBook",
    "SendBook",
    "Statement",
    "StreamBuffer",
    "Thresholds",
    "Window",
    "is_client_name",
    "wire_bytes",
]
