"""Measure what a client reads of its response streams, and how long it stays away between reads."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from prometheus_client.registry import CollectorRegistry

from flowcontrol.books.book import ReceiveBook
from flowcontrol.books.ledger import Ledger
from flowcontrol.books.meter import ReceiveMeter
from flowcontrol.client.call import MeasuredCall, MeasuredStreamStreamCall, MeasuredUnaryStreamCall
from flowcontrol.client.details import with_metadata
from flowcontrol.identity import Identity, is_client_name, is_of_grpc, method_of
from flowcontrol.metrics.both_ends import CLIENT_METRICS
from flowcontrol.metrics.collector import ledger_of
from flowcontrol.window import Window

Continuation = Callable[[grpc.aio.ClientCallDetails, Any], Awaitable[Any]]


class FlowControlClientInterceptor(grpc.aio.UnaryStreamClientInterceptor):
    """Measures every response stream of a `grpc.aio` channel, and declares client, stream and window to the server.

    Open the channel with its `interceptors`; alone it sees only the calls of one request. `client` is the name to go
    by: see `is_client_name`; raises ValueError. `window` is what the channel was opened with. `size_of` returns a
    message's serialised size in bytes, or None where it cannot tell; by default that of a protobuf message is known,
    and no other. `registry` gets the metrics, and interceptors with the same registry share its ledger; raises
    ValueError where it has those of another one. A call that another interceptor answers by itself is no stream, and
    passes unmeasured.
    """

    def __init__(
        self,
        client: str,
        window: Window,
        *,
        ledger: Ledger[ReceiveBook] | None = None,
        registry: CollectorRegistry | None = None,
        size_of: Callable[[Any], int | None] | None = None,
    ) -> None:
        if not is_client_name(client):
            raise ValueError(f"a client's name is 1 to 63 letters, digits, '.', '_' or '-'; got {client!r}")
        self._client = client
        self._window = window
        self._size_of = protobuf_size if size_of is None else size_of
        self.ledger = ledger_of(registry, ledger, ReceiveBook, CLIENT_METRICS)

    @property
    def interceptors(self) -> list[grpc.aio.ClientInterceptor]:
        """What to open a channel with, two: grpc takes each for one kind of call only, whatever it could do."""
        return [self, _StreamStreamInterceptor(self)]

    async def intercept_unary_stream(
        self, continuation: Continuation, client_call_details: grpc.aio.ClientCallDetails, request: Any
    ) -> Any:
        """Start the call and return it, measured."""
        return await self.measured(MeasuredUnaryStreamCall, continuation, client_call_details, request)

    async def measured(
        self,
        measured_call: type[MeasuredCall],
        continuation: Continuation,
        details: grpc.aio.ClientCallDetails,
        request: Any,
    ) -> Any:
        """Start a call of either kind and return it, measured unless it is gRPC's own (`is_of_grpc`)."""
        method = method_of(details)
        if is_of_grpc(method):
            return await continuation(details, request)
        identity = Identity.for_new_stream(self._client, self._window)
        try:
            metadata = grpc.aio.Metadata(*(details.metadata or ()), *identity.metadata())
            details = with_metadata(details, metadata, otherwise=grpc.aio.ClientCallDetails)
        except Exception:
            self.ledger.faults.note("a client declares itself")
        call = await continuation(details, request)
        meter: ReceiveMeter | None = None

        def end(_: Any = None) -> None:
            if meter is not None:
                meter.end()

        try:
            call.add_done_callback(end)  # the call ends also when nobody reads it any more
        except Exception:
            return call  # another interceptor has answered it, and there is none
        try:
            meter = ReceiveMeter(self.ledger.open(method, identity), self.ledger, self._size_of)
        except Exception:
            self.ledger.faults.note("a stream begins")
            return call
        if call.done():
            end()
        return measured_call(call, meter)


class _StreamStreamInterceptor(grpc.aio.StreamStreamClientInterceptor):
    def __init__(self, interceptor: FlowControlClientInterceptor) -> None:
        self._interceptor = interceptor

    async def intercept_stream_stream(
        self, continuation: Continuation, client_call_details: grpc.aio.ClientCallDetails, request_iterator: Any
    ) -> Any:
        return await self._interceptor.measured(
            MeasuredStreamStreamCall, continuation, client_call_details, request_iterator
        )


def protobuf_size(message: Any) -> int | None:
    """Return the serialised size of a protobuf message in bytes; None for any other."""
    try:
        return int(message.ByteSize())
    except AttributeError:
        return None
