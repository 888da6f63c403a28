"""Measure what a client reads of its response streams, and how long it stays away between reads."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, cast

import grpc
from prometheus_client.registry import CollectorRegistry

from flowcontrol.book import ReceiveBook
from flowcontrol.identity import Identity, is_client_name, is_of_grpc
from flowcontrol.ledger import Ledger
from flowcontrol.metrics import CLIENT_METRICS, LedgerCollector
from flowcontrol.window import Window, wire_bytes


class FlowControlClientInterceptor(grpc.aio.UnaryStreamClientInterceptor):
    """Measures every response stream of a `grpc.aio` channel, and declares client, stream and window to the server.

    Open the channel with its `interceptors`; alone it sees only the calls of one request. `client` is the name to go
    by: see `is_client_name`; raises ValueError. `window` is what the channel was opened with. `size_of` returns a
    message's serialised size in bytes; by default that of a protobuf message. Read the call by `async for` or by
    `read`.
    """

    def __init__(
        self,
        client: str,
        window: Window,
        *,
        ledger: Ledger[ReceiveBook] | None = None,
        registry: CollectorRegistry | None = None,
        size_of: Callable[[Any], int] | None = None,
    ) -> None:
        if not is_client_name(client):
            raise ValueError(f"a client's name is 1 to 63 letters, digits, '.', '_' or '-'; got {client!r}")
        self._client = client
        self._window = window
        self._size_of = _protobuf_size if size_of is None else size_of
        self.ledger = Ledger(ReceiveBook) if ledger is None else ledger
        if registry is not None:
            registry.register(LedgerCollector(self.ledger, CLIENT_METRICS))

    @property
    def interceptors(self) -> list[grpc.aio.ClientInterceptor]:
        """What to open a channel with, two: grpc takes each for one kind of call only, whatever it could do."""
        return [self, _StreamStreamInterceptor(self)]

    async def intercept_unary_stream(
        self,
        continuation: Callable[[grpc.aio.ClientCallDetails, Any], Awaitable[Any]],
        client_call_details: grpc.aio.ClientCallDetails,
        request: Any,
    ) -> AsyncIterator[Any]:
        """Start the call and return its messages, measured."""
        return await self.measured(continuation, client_call_details, request)

    async def measured(
        self,
        continuation: Callable[[grpc.aio.ClientCallDetails, Any], Awaitable[Any]],
        details: grpc.aio.ClientCallDetails,
        request: Any,
    ) -> AsyncIterator[Any]:
        """Start a call of either kind and return its messages, measured unless it is gRPC's own (`is_of_grpc`)."""
        method = (details.method.decode() if isinstance(details.method, bytes) else str(details.method)).removeprefix(
            "/"
        )
        if is_of_grpc(method):
            return cast(AsyncIterator[Any], await continuation(details, request))
        identity = Identity.for_new_stream(self._client, self._window)
        metadata = (*(details.metadata or ()), *identity.metadata())
        declared = cast(Any, details)._replace(metadata=grpc.aio.Metadata(*metadata))  # a named tuple, by its source
        call = await continuation(declared, request)
        book = self.ledger.open(method, identity)
        # the call ends also when nobody reads it any more
        call.add_done_callback(lambda _: self.ledger.close(book))
        return self._read(call, book)

    async def _read(self, call: Any, book: ReceiveBook) -> AsyncIterator[Any]:
        clock = self.ledger.clock
        messages = aiter(call)
        try:
            while True:
                book.waiting.start(clock())
                try:
                    message = await anext(messages)
                except StopAsyncIteration:
                    return
                finally:
                    book.waiting.stop(clock())
                # grpc hands on None for a message that it could not deserialise, and keeps its size to itself
                book.add(wire_bytes(0 if message is None else self._size_of(message)))
                book.processing.start(clock())
                yield message
                book.processing.stop(clock())
        finally:
            self.ledger.close(book)


class _StreamStreamInterceptor(grpc.aio.StreamStreamClientInterceptor):
    def __init__(self, interceptor: FlowControlClientInterceptor) -> None:
        self._interceptor = interceptor

    async def intercept_stream_stream(
        self,
        continuation: Callable[[grpc.aio.ClientCallDetails, Any], Awaitable[Any]],
        client_call_details: grpc.aio.ClientCallDetails,
        request_iterator: Any,
    ) -> AsyncIterator[Any]:
        return await self._interceptor.measured(continuation, client_call_details, request_iterator)


def _protobuf_size(message: Any) -> int:
    return int(message.ByteSize())
