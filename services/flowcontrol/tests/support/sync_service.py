"""A synchronous server and a synchronous client of it, both measured, in one process."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from prometheus_client import CollectorRegistry

from flowcontrol import ConsumerEvent, SendBook, Thresholds, Window
from flowcontrol.sync import FlowControlClientInterceptor, FlowControlServerInterceptor, current_stream

from waiting import until_blocking

COUNT = "bytes.Service/Count"
ECHO = "bytes.Service/Echo"
SIZE = "bytes.Service/Size"


class SyncByteService(grpc.GenericRpcHandler):
    """Streams messages of zeros: as many as the request says, or without end."""

    def __init__(self, message_bytes: int) -> None:
        self.message_bytes = message_bytes
        self.streams: list[Any] = []
        self.pause = threading.Event()
        """Where it is set, a handler stands still before its next message."""
        self.go_on = threading.Event()

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        method = handler_call_details.method.removeprefix("/")
        if method == COUNT:
            return grpc.unary_stream_rpc_method_handler(self.count)
        if method == ECHO:
            return grpc.stream_stream_rpc_method_handler(self.echo)
        return grpc.unary_unary_rpc_method_handler(lambda request, context: b"%d" % self.message_bytes)

    def count(self, request: bytes, context: Any) -> Iterator[bytes]:
        self.streams.append(current_stream())
        for _ in range(int(request)) if request else itertools.count():
            if self.pause.is_set():
                self.go_on.wait(60)
            yield bytes(self.message_bytes)

    def echo(self, requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
        return map(bytes, requests)


@dataclass
class SyncSession:
    """A server and a client of it, and the books of both."""

    service: SyncByteService
    server_side: FlowControlServerInterceptor
    client_side: FlowControlClientInterceptor
    channel: grpc.Channel
    port: int
    server_registry: CollectorRegistry
    client_registry: CollectorRegistry
    events: list[ConsumerEvent]
    calls: list[Any] = field(default_factory=list)

    def call(self, request: bytes = b"", **arguments: Any) -> Any:
        """Open a stream."""
        self.calls.append(self.channel.unary_stream(f"/{COUNT}")(request, **arguments))
        return self.calls[-1]

    def size(self, **arguments: Any) -> Any:
        """Make a call with one request and one response."""
        return self.channel.unary_unary(f"/{SIZE}")(b"", **arguments)

    def blocked(self, streams: int = 1, seconds: float = 0.2) -> list[SendBook]:
        """Wait until so many streams are blocked in a write, and return their books."""
        ledger = self.server_side.ledger

        def books() -> list[SendBook]:
            return [book for book in ledger.open_books() if book.writing.lap_seconds(ledger.clock()) > seconds]

        return until_blocking(books, lambda found: len(found) == streams, what=f"{streams} blocked streams")

    def closed(self) -> None:
        """Wait until no book is open at either end."""
        for ledger in (self.server_side.ledger, self.client_side.ledger):
            until_blocking(ledger.open_books, lambda books: books == [], what="no open book")
            assert ledger.faults.count == 0

    def sent(self) -> dict[str, float]:
        """Return the counts of all streams of `COUNT`, as the server has them."""
        return self.server_side.ledger.statement().methods[COUNT]

    def received(self) -> dict[str, float]:
        """Return the counts of all streams of `COUNT`, as the client has them."""
        return self.client_side.ledger.statement().methods[COUNT]


@contextmanager
def sync_session(
    message_bytes: int = 95,
    *,
    window: Window | None = None,
    thresholds: Thresholds | None = None,
    pool: Callable[[CollectorRegistry], ThreadPoolExecutor] | None = None,
    channel_options: tuple[tuple[str, int], ...] = (),
    **server_arguments: Any,
) -> Iterator[SyncSession]:
    """Start a server on a free port of 127.0.0.1 and a client with a `window`; end both at the end."""
    server_registry, client_registry = CollectorRegistry(), CollectorRegistry()
    window = Window() if window is None else window
    events: list[ConsumerEvent] = []
    server_side = FlowControlServerInterceptor(
        registry=server_registry, on_consumer=events.append, thresholds=thresholds
    )
    client_side = FlowControlClientInterceptor("tester", window, registry=client_registry, size_of=len)
    service = SyncByteService(message_bytes)
    threads = ThreadPoolExecutor(8) if pool is None else pool(server_registry)
    server = grpc.server(threads, interceptors=[server_side], **server_arguments)
    server.add_generic_rpc_handlers((service,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(
        f"127.0.0.1:{port}", options=(*window.channel_options(), *channel_options)
    ) as bare_channel:
        channel = grpc.intercept_channel(bare_channel, *client_side.interceptors)
        session = SyncSession(
            service, server_side, client_side, channel, port, server_registry, client_registry, events
        )
        try:
            yield session
        finally:
            service.go_on.set()
            for call in session.calls:
                call.cancel()
            server.stop(0).wait()
            threads.shutdown()
