"""Measure what a server's response streams send, and for how long each write is blocked."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any, TypeAlias

import grpc
from prometheus_client.registry import CollectorRegistry

from flowcontrol.books.book import SendBook
from flowcontrol.books.consumers import ConsumerEvent, ConsumerWatch, Thresholds
from flowcontrol.books.ledger import Ledger
from flowcontrol.books.meter import SendMeter
from flowcontrol.identity import is_of_grpc, method_of
from flowcontrol.metrics.both_ends import SERVER_METRICS
from flowcontrol.metrics.collector import ledger_of
from flowcontrol.server.context import compresses
from flowcontrol.server.handlers import measured
from flowcontrol.server.opener import Opener
from flowcontrol.server.serializer import Sizing
from flowcontrol.server.stream import MeasuredStream

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"

_measuring: ContextVar[tuple[Ledger[SendBook], ...]] = ContextVar("flowcontrol-measuring", default=())
"""Ledgers of the interceptors in front that measure the call already."""


class FlowControlServerInterceptor(grpc.aio.ServerInterceptor):
    """Measures every response-streaming method of a `grpc.aio` server, and changes nothing that others see.

    Handlers may be async generators or coroutines that call `context.write`; others pass unmeasured, and so do the
    methods of gRPC itself (`is_of_grpc`). A handler gets its stream's numbers, and may end it, by `current_stream`.

    `ledger` has bounds or a clock of your own; `registry` gets the metrics, and interceptors with the same registry
    share its ledger. `on_consumer` is told when a client becomes held back, stops, or recovers; `thresholds` say when
    that is. `name_of` is asked, with a stream's context and the name that its client declares, for a name that counts
    instead; None: the declared one does. `compression` is what the server was made with, for an interceptor cannot see
    that. Raises ValueError: the registry has the metrics of another ledger.
    """

    def __init__(
        self,
        *,
        ledger: Ledger[SendBook] | None = None,
        registry: CollectorRegistry | None = None,
        on_consumer: Callable[[ConsumerEvent], None] | None = None,
        thresholds: Thresholds | None = None,
        name_of: Callable[[Any, str], str | None] | None = None,
        compression: grpc.Compression | None = None,
    ) -> None:
        self.ledger = ledger_of(registry, ledger, SendBook, SERVER_METRICS)
        watch = ConsumerWatch(self.ledger, on_consumer, thresholds)
        self._opener = Opener(self.ledger, watch, name_of, compresses(compression))
        self._running: set[asyncio.Task[Any]] = set()

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """Return the method's handler, measured if it streams responses."""
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
        if handler is None or not handler.response_streaming:
            return handler
        sizing = Sizing()
        serialize = handler.response_serializer
        behaviour = measured(
            handler.stream_stream if handler.request_streaming else handler.unary_stream,
            lambda context: self._begin(handler_call_details, context, sizing),
            raw=not serialize,
        )
        if behaviour is None:
            return handler
        rebuild = (
            grpc.stream_stream_rpc_method_handler if handler.request_streaming else grpc.unary_stream_rpc_method_handler
        )
        if serialize:
            serialize = sizing.serializer(serialize)
        return rebuild(behaviour, handler.request_deserializer, serialize)

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

    def _begin(self, details: grpc.HandlerCallDetails, context: Any, sizing: Sizing) -> MeasuredStream:
        ledger = self.ledger
        meter = SendMeter(self._opener.open(details, context), ledger)
        stream = MeasuredStream(context, meter, self._keep)
        sizing.add(meter)

        ending = _CallEnding(stream, sizing)
        try:
            context.add_done_callback(ending)
        except Exception:  # a context of somebody else's that cannot tell: the call ends with its handler
            stream.on_end = functools.partial(ending, context)
        return stream


class _CallEnding:
    """Closes a stream's book at the end of its call. grpc keeps this until another call comes: it keeps nothing."""

    def __init__(self, stream: MeasuredStream, sizing: Sizing) -> None:
        self._stream: MeasuredStream | None = stream
        self._sizing = sizing

    def __call__(self, context: Any) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.end_call()
            self._sizing.remove(stream.meter)
            stream.meter.close(arrives=_has_status(context))


def _has_status(context: Any) -> bool:
    """Tell whether grpc has sent the stream's status: then all messages have gone before it."""
    try:
        return bool(context.done())
    except Exception:
        return False
