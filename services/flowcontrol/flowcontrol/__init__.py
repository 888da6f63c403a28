"""See, bound and measure HTTP/2 flow control in `grpc.aio` services."""

from flowcontrol.book import Book, ReceiveBook, SendBook
from flowcontrol.client import FlowControlClientInterceptor
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
    "FlowControlClientInterceptor",
    "FlowControlServerInterceptor",
    "Identity",
    "Ledger",
    "LedgerCollector",
    "ReceiveBook",
    "SendBook",
    "Statement",
    "Window",
    "is_client_name",
    "wire_bytes",
]
