"""Measure what a server sends and for how long that is blocked, and what it reads and how long it stays away."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any, TypeAlias

import grpc
from prometheus_client.registry import CollectorRegistry

from flowcontrol.books.book import ReceiveBook, SendBook
from flowcontrol.books.consumers import ConsumerEvent, ConsumerWatch, Thresholds
from flowcontrol.books.ledger import Ledger
from flowcontrol.books.receive_meter import ReceiveMeter
from flowcontrol.books.send_meter import SendMeter
from flowcontrol.compression import compresses
from flowcontrol.identity import is_of_grpc, method_of
from flowcontrol.metrics.both_ends import SERVER_RECEIVED_METRICS, SERVER_SENT_METRICS
from flowcontrol.metrics.collector import ledger_of
from flowcontrol.server.handlers import measured, measured_upload
from flowcontrol.server.opener import Opener
from flowcontrol.server.requests import RequestSizing
from flowcontrol.server.serializer import Sizing
from flowcontrol.server.stream import MeasuredStream
from flowcontrol.window import Window

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"

_measuring: ContextVar[tuple[Ledger[SendBook], ...]] = ContextVar("flowcontrol-measuring", default=())
"""Ledgers of the interceptors in front that measure the call already."""


class FlowControlServerInterceptor(grpc.aio.ServerInterceptor):
    """Measures every method of a `grpc.aio` server that streams, either way, and changes nothing that others see.

    Handlers may be async generators or coroutines, and read as they like; others pass unmeasured, and so do the methods
    of gRPC itself (`is_of_grpc`). A handler that streams responses gets its stream's numbers, and may end it, by
    `current_stream`.

    `ledger` has the responses' books, `uploads` the requests', each with bounds or a clock of your own; `registry` gets
    the metrics, and interceptors with the same registry share its ledgers. `window` is what the server was made with,
    by `Window.server_options`. `on_consumer` is told when a client becomes held back, stops, or recovers; `thresholds`
    say when that is. `name_of` is asked, with a stream's context and the name that its client declares, for a name that
    counts instead; None: the declared one does. `compression` is what the server was made with, for an interceptor
    cannot see that. Raises ValueError: the registry has the metrics of another ledger.
    """

    def __init__(
        self,
        *,
        ledger: Ledger[SendBook] | None = None,
        uploads: Ledger[ReceiveBook] | None = None,
        registry: CollectorRegistry | None = None,
        on_consumer: Callable[[ConsumerEvent], None] | None = None,
        thresholds: Thresholds | None = None,
        name_of: Callable[[Any, str], str | None] | None = None,
        window: Window | None = None,
        compression: grpc.Compression | None = None,
    ) -> None:
        self.ledger = ledger_of(registry, ledger, SendBook, SERVER_SENT_METRICS)
        self.uploads = ledger_of(registry, uploads, ReceiveBook, SERVER_RECEIVED_METRICS)
        self.uploads.faults = self.ledger.faults
        watch = ConsumerWatch(self.ledger, on_consumer, thresholds)
        self._opener = Opener(self.ledger, watch, name_of, compresses(compression), uploads=self.uploads, window=window)
        self._running: set[asyncio.Task[Any]] = set()

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """Return the method's handler, measured if it streams."""
        if (task := asyncio.current_task()) is not None:
            self._keep(task)  # grpc runs the handler in this task too
        before = _measuring.get()
        if self.ledger in before or is_of_grpc(method_of(handler_call_details)):
            return await continuation(handler_call_details)
        token = _measuring.set((*before, self.ledger))
        try:
            handler = await continuation(handler_call_details)
        finally:
            _measuring.reset(token)
        if handler is None:
            return None
        if handler.response_streaming:
            return self._sending(handler, handler_call_details)
        return self._receiving(handler, handler_call_details) if handler.request_streaming else handler

    def _sending(self, handler: Handler, details: grpc.HandlerCallDetails) -> Handler:
        sizing, serialize = Sizing(), handler.response_serializer
        request_sizing = RequestSizing() if handler.request_streaming else None
        behaviour = measured(
            handler.unary_stream if request_sizing is None else handler.stream_stream,
            lambda context: self._begin(details, context, sizing, request_sizing),
            raw=not serialize,
        )
        if behaviour is None:
            return handler
        if serialize:
            serialize = sizing.serializer(serialize)
        if request_sizing is None:
            return grpc.unary_stream_rpc_method_handler(behaviour, handler.request_deserializer, serialize)
        deserialize = request_sizing.deserializer(handler.request_deserializer)
        return grpc.stream_stream_rpc_method_handler(behaviour, deserialize, serialize)

    def _receiving(self, handler: Handler, details: grpc.HandlerCallDetails) -> Handler:
        sizing = RequestSizing()
        behaviour = measured_upload(handler.stream_unary, lambda context: self._begin_upload(details, context, sizing))
        if behaviour is None:
            return handler
        deserialize = sizing.deserializer(handler.request_deserializer)
        return grpc.stream_unary_rpc_method_handler(behaviour, deserialize, handler.response_serializer)

    async def handlers_ended(self) -> None:
        """Return once no handler of any method runs, and all books are closed. To be awaited after `Server.stop`.

        `stop` returns when the transport has ended the calls, which is before their handlers have. An event loop that
        ends in between cancels what grpc still does, and grpc prints a traceback for each call (grpcio 1.85).
        """
        while self._running:
            await asyncio.wait(self._running)

    def _keep(self, task: asyncio.Task[Any]) -> None:
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    def _begin(
        self, details: grpc.HandlerCallDetails, context: Any, sizing: Sizing, request_sizing: RequestSizing | None
    ) -> MeasuredStream:
        meter = SendMeter(self._opener.open(details, context), self.ledger)
        stream = MeasuredStream(context, meter, self._keep)
        sizing.add(meter)
        if request_sizing is not None:
            stream.reading = self._reading(details, context, meter.book, request_sizing)
        stream.on_end = _at_end_of_call(context, _CallEnding(stream, sizing))
        return stream

    def _begin_upload(
        self, details: grpc.HandlerCallDetails, context: Any, sizing: RequestSizing
    ) -> tuple[ReceiveMeter | None, Callable[[], None] | None]:
        reading = self._reading(details, context, None, sizing)
        return reading, None if reading is None else _at_end_of_call(context, _UploadEnding(reading))

    def _reading(
        self, details: grpc.HandlerCallDetails, context: Any, sent: SendBook | None, sizing: RequestSizing
    ) -> ReceiveMeter | None:
        book = self._opener.open_upload(details, context, sent)
        return None if book is None else ReceiveMeter(book, self.uploads, sizing.size_of, goes_on=False)


def _at_end_of_call(context: Any, ending: Callable[[Any], None]) -> Callable[[], None] | None:
    """Have `ending` called with the context; return what else has to be called when the handler has ended."""
    try:
        context.add_done_callback(ending)
    except Exception:  # a context of somebody else's that cannot tell: the call ends with its handler
        return functools.partial(ending, context)
    return None


class _CallEnding:
    """Closes a stream's books at the end of its call. grpc keeps this until another call comes: it keeps nothing."""

    def __init__(self, stream: MeasuredStream, sizing: Sizing) -> None:
        self._stream: MeasuredStream | None = stream
        self._sizing = sizing

    def __call__(self, context: Any) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.end_call()
            self._sizing.remove(stream.meter)
            stream.meter.close(arrives=_has_status(context))
            if stream.reading is not None:
                stream.reading.end()


class _UploadEnding:
    """The same for a stream of requests alone."""

    def __init__(self, reading: ReceiveMeter) -> None:
        self._reading: ReceiveMeter | None = reading

    def __call__(self, context: Any) -> None:
        reading, self._reading = self._reading, None
        if reading is not None:
            reading.end()


def _has_status(context: Any) -> bool:
    """Tell whether grpc has sent the stream's status: then all messages have gone before it."""
    try:
        return bool(context.done())
    except Exception:
        return False
