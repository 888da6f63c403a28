"""Measure what a client reads and how long it stays away, and what it uploads and for how long that is blocked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import grpc
from prometheus_client.registry import CollectorRegistry

from flowcontrol.books.book import ReceiveBook, SendBook
from flowcontrol.books.consumers import ConsumerEvent, ConsumerWatch, Thresholds
from flowcontrol.books.ledger import Ledger
from flowcontrol.books.receive_meter import ReceiveMeter
from flowcontrol.books.send_meter import SendMeter
from flowcontrol.client.call import MeasuredCall, MeasuredStreamStreamCall, MeasuredUnaryStreamCall
from flowcontrol.client.details import with_metadata
from flowcontrol.client.requests import Upload
from flowcontrol.compression import asks_for_compression, compresses
from flowcontrol.identity import Identity, is_client_name, is_of_grpc, method_of
from flowcontrol.metrics.both_ends import CLIENT_RECEIVED_METRICS, CLIENT_SENT_METRICS
from flowcontrol.metrics.collector import ledger_of
from flowcontrol.window import Window

Continuation = Callable[[grpc.aio.ClientCallDetails, Any], Awaitable[Any]]


class FlowControlClientInterceptor(grpc.aio.UnaryStreamClientInterceptor):
    """Measures every stream of a `grpc.aio` channel, and declares client, stream and window to the server.

    Open the channel with its `interceptors`; alone it sees only the calls of one request. `client` is the name to go
    by: see `is_client_name`; raises ValueError. `window` is what the channel was opened with, `server_window` what the
    server was made with, if that is known. `size_of` returns a message's serialised size in bytes, or None where it
    cannot tell; by default that of a protobuf message is known, and no other. `count_of` returns how many messages one
    holds that may be a batch; by default each is one. `compression` is what the channel was
    opened with, for an interceptor cannot see that. `on_consumer` is told when a server that is uploaded to becomes
    held back, stops, or recovers; `thresholds` say when that is.

    `ledger` has the responses' books, `uploads` the requests'. `registry` gets the metrics, and interceptors with the
    same registry share its ledgers; raises ValueError where it has those of another one. A call that another
    interceptor answers by itself is no stream, and passes unmeasured.
    """

    def __init__(
        self,
        client: str,
        window: Window,
        *,
        ledger: Ledger[ReceiveBook] | None = None,
        uploads: Ledger[SendBook] | None = None,
        registry: CollectorRegistry | None = None,
        size_of: Callable[[Any], int | None] | None = None,
        count_of: Callable[[Any], int] | None = None,
        server_window: Window | None = None,
        compression: grpc.Compression | None = None,
        on_consumer: Callable[[ConsumerEvent], None] | None = None,
        thresholds: Thresholds | None = None,
    ) -> None:
        if not is_client_name(client):
            raise ValueError(f"a client's name is 1 to 63 letters, digits, '.', '_' or '-'; got {client!r}")
        self._client = client
        self._window = window
        self._server_window = server_window
        self._size_of = protobuf_size if size_of is None else size_of
        self._count_of = count_of
        self._compressed = compresses(compression)
        self.ledger = ledger_of(registry, ledger, ReceiveBook, CLIENT_RECEIVED_METRICS)
        self.uploads = ledger_of(registry, uploads, SendBook, CLIENT_SENT_METRICS)
        self.uploads.faults = self.ledger.faults
        self._watch = ConsumerWatch(self.uploads, on_consumer, thresholds)

    @property
    def interceptors(self) -> list[grpc.aio.ClientInterceptor]:
        """What to open a channel with, three: grpc takes each for one kind of call only, whatever it could do."""
        return [self, _StreamStreamInterceptor(self), _StreamUnaryInterceptor(self)]

    def start(self, method: Callable[..., Any], name: str, request: Any, metadata: Any = ()) -> Any:
        """Start a call of a channel without `interceptors`, and return it, measured.

        `method` is the stub's, `name` its name on the wire, as 'package.Service/Method'. grpc puts a call with
        interceptors into two more generators for every message.
        """
        identity = Identity.for_new_stream(self._client, self._window)
        call = method(request, metadata=(*metadata, *identity.metadata()))
        return self._reading(MeasuredUnaryStreamCall, call, name, identity)

    async def intercept_unary_stream(
        self, continuation: Continuation, client_call_details: grpc.aio.ClientCallDetails, request: Any
    ) -> Any:
        """Start the call and return it, measured."""
        method = method_of(client_call_details)
        if is_of_grpc(method):
            return await continuation(client_call_details, request)
        details, identity = self._declared(client_call_details)
        return self._reading(MeasuredUnaryStreamCall, await continuation(details, request), method, identity)

    async def measured(
        self,
        measured_call: type[MeasuredCall] | None,
        continuation: Continuation,
        client_call_details: grpc.aio.ClientCallDetails,
        requests: Any,
    ) -> Any:
        """Start a call that sends a stream, and return it, measured; `measured_call`: it receives one, too."""
        method = method_of(client_call_details)
        if is_of_grpc(method):
            return await continuation(client_call_details, requests)
        details, identity = self._declared(client_call_details)
        compressed = self._compressed or asks_for_compression(client_call_details)
        upload = Upload(lambda: self._begin_sending(method, identity, compressed), self._size)
        try:
            call = await continuation(details, upload.measured(requests))
        except BaseException:
            upload.end()
            raise
        try:
            call.add_done_callback(upload.end)
            has_ended = call.done()
        except Exception:  # another interceptor has answered it, or has waited for the answer
            has_ended = True
        if has_ended:
            upload.end()
        return call if measured_call is None else self._reading(measured_call, call, method, identity)

    def _declared(self, details: grpc.aio.ClientCallDetails) -> tuple[Any, Identity]:
        identity = Identity.for_new_stream(self._client, self._window)
        try:
            metadata = grpc.aio.Metadata(*(details.metadata or ()), *identity.metadata())
            return with_metadata(details, metadata, otherwise=grpc.aio.ClientCallDetails), identity
        except Exception:
            self.ledger.faults.note("a client declares itself")
            return details, identity

    def _reading(self, measured_call: type[MeasuredCall], call: Any, method: str, identity: Identity) -> Any:
        meter: ReceiveMeter | None = None

        def end(_: Any = None) -> None:
            if meter is not None:
                meter.end()

        try:
            call.add_done_callback(end)  # the call ends also when nobody reads it any more
        except Exception:
            return call  # another interceptor has answered it, and there is none
        try:
            meter = ReceiveMeter(self.ledger.open(method, identity), self.ledger, self._size_of, self._count_of)
        except Exception:
            self.ledger.faults.note("a stream begins")
            return call
        if call.done():
            end()
        return measured_call(call, meter)

    def _begin_sending(self, method: str, identity: Identity, compressed: bool) -> SendMeter | None:
        try:
            book = self.uploads.open(method, replace(identity, window=self._server_window))
        except Exception:
            self.uploads.faults.note("a stream begins")
            return None
        book.compressed = compressed
        try:
            self._watch.watch(book)
        except Exception:
            self.uploads.faults.note("a stream begins")
        return SendMeter(book, self.uploads)

    def _size(self, message: Any) -> int | None:
        try:
            return self._size_of(message)
        except Exception:
            self.uploads.faults.note("the size of a message")
            return None


class _StreamStreamInterceptor(grpc.aio.StreamStreamClientInterceptor):
    def __init__(self, interceptor: FlowControlClientInterceptor) -> None:
        self._interceptor = interceptor

    async def intercept_stream_stream(
        self, continuation: Continuation, client_call_details: grpc.aio.ClientCallDetails, request_iterator: Any
    ) -> Any:
        return await self._interceptor.measured(
            MeasuredStreamStreamCall, continuation, client_call_details, request_iterator
        )


class _StreamUnaryInterceptor(grpc.aio.StreamUnaryClientInterceptor):
    def __init__(self, interceptor: FlowControlClientInterceptor) -> None:
        self._interceptor = interceptor

    async def intercept_stream_unary(
        self, continuation: Continuation, client_call_details: grpc.aio.ClientCallDetails, request_iterator: Any
    ) -> Any:
        return await self._interceptor.measured(None, continuation, client_call_details, request_iterator)


def protobuf_size(message: Any) -> int | None:
    """Return the serialised size of a protobuf message in bytes; None for any other."""
    try:
        return int(message.ByteSize())
    except AttributeError:
        return None
