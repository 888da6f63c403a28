"""Measure what a synchronous server's response streams send, and for how long each write is blocked."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, TypeAlias

import grpc
from prometheus_client.registry import CollectorRegistry

from flowcontrol.books.book import SendBook
from flowcontrol.books.consumers import ConsumerEvent, Thresholds
from flowcontrol.books.ledger import Ledger
from flowcontrol.compression import compresses
from flowcontrol.identity import is_of_grpc, method_of
from flowcontrol.metrics.both_ends import SERVER_SENT_METRICS
from flowcontrol.metrics.collector import ledger_of
from flowcontrol.server.opener import Opener
from flowcontrol.server.serializer import Sizing
from flowcontrol.sync.handlers import measured
from flowcontrol.sync.meter import LockedSendMeter
from flowcontrol.sync.pool import pool_here
from flowcontrol.sync.stream import MeasuredStream
from flowcontrol.sync.watch import ThreadWatch

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"

_measuring: ContextVar[tuple[Ledger[SendBook], ...]] = ContextVar("flowcontrol-sync-measuring", default=())
"""Ledgers of the interceptors in front that measure the call already."""


class FlowControlServerInterceptor(grpc.ServerInterceptor):
    """Measures every response-streaming method of a `grpc.server`, and changes nothing that others see.

    All is as in `flowcontrol.FlowControlServerInterceptor`, and under the same names; what differs: `on_consumer` is
    called in a thread of its own, and a stream whose write is blocked can be cut, but not with a status
    (`MeasuredStream.cut`). A server whose pool is a `MeasuredThreadPool` tells also how many of its threads blocked
    writes hold.
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
        self.ledger = ledger_of(registry, ledger, SendBook, SERVER_SENT_METRICS)
        watch = ThreadWatch(self.ledger, on_consumer, thresholds)
        self._opener = Opener(self.ledger, watch, name_of, compresses(compression))

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Handler | None],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """Return the method's handler, measured if it streams responses."""
        before = _measuring.get()
        if self.ledger in before or is_of_grpc(method_of(handler_call_details)):
            return continuation(handler_call_details)
        token = _measuring.set((*before, self.ledger))
        try:
            handler = continuation(handler_call_details)
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

    def _begin(self, details: grpc.HandlerCallDetails, context: Any, sizing: Sizing) -> MeasuredStream:
        meter = LockedSendMeter(self._opener.open(details, context), self.ledger)
        sizing.add(meter)
        if (pool := pool_here()) is not None:
            pool.enter(meter)

        def close() -> None:
            sizing.remove(meter)
            meter.close(arrives=False)  # what has gone was counted when the next message was asked for
            if pool is not None:
                pool.leave(meter)

        stream = MeasuredStream(context, meter)
        try:
            ends = context.add_callback(close)
        except Exception:  # a context of somebody else's that cannot tell: the call ends with its handler
            ends = False
        if not ends:
            stream.on_end = close
        return stream
