"""Measure what a server's response streams send, and for how long each write is blocked."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Any, TypeAlias

import grpc
from prometheus_client.registry import CollectorRegistry

from flowcontrol.book import SendBook
from flowcontrol.consumers import ConsumerEvent, ConsumerWatch, Thresholds
from flowcontrol.context import MeasuredContext
from flowcontrol.identity import Identity, is_of_grpc
from flowcontrol.ledger import Ledger
from flowcontrol.metrics import SERVER_METRICS, LedgerCollector

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"


class FlowControlServerInterceptor(grpc.aio.ServerInterceptor):
    """Measures every response-streaming method of a `grpc.aio` server, but not those of gRPC itself (`is_of_grpc`).

    Handlers may be async generators or coroutines that call `context.write`; others pass unmeasured. A handler may
    yield or write `bytes` in place of a message: it has serialised the message itself, perhaps once for many streams.
    Give a `ledger` to choose its bounds or its clock, a `registry` to have the metrics there, and `on_consumer` to be
    told when a client becomes held back, stops, or recovers; `thresholds` say when that is. `name_of` is asked, with a
    stream's context and the name that its client declares, for a name that counts instead; None: the declared one does.
    """

    def __init__(
        self,
        *,
        ledger: Ledger[SendBook] | None = None,
        registry: CollectorRegistry | None = None,
        on_consumer: Callable[[ConsumerEvent], None] | None = None,
        thresholds: Thresholds | None = None,
        name_of: Callable[[Any, str], str | None] | None = None,
    ) -> None:
        self.ledger = Ledger(SendBook) if ledger is None else ledger
        self._name_of = name_of
        self._watch = ConsumerWatch(self.ledger, on_consumer, thresholds)
        self._handlers: set[asyncio.Task[Any]] = set()
        if registry is not None:
            registry.register(LedgerCollector(self.ledger, SERVER_METRICS))

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """Return the method's handler, measured if it streams responses."""
        if (task := asyncio.current_task()) is not None:
            self._handlers.add(task)  # grpc runs the handler in this task too
            task.add_done_callback(self._handlers.discard)
        handler = await continuation(handler_call_details)
        method = str(handler_call_details.method).removeprefix("/")
        if handler is None or not handler.response_streaming or is_of_grpc(method):
            return handler
        behaviour: Any = handler.stream_stream if handler.request_streaming else handler.unary_stream
        if not (inspect.isasyncgenfunction(behaviour) or inspect.iscoroutinefunction(behaviour)):
            return handler
        identity = Identity.declared_in(handler_call_details.invocation_metadata)
        serialize = handler.response_serializer or _identity
        ledger, watch = self.ledger, self._watch

        async def measured(request: Any, context: Any) -> None:
            book = ledger.open(method, self._named(identity, context))
            book.peer = context.peer()
            watch.ensure_running()
            measured_context = MeasuredContext(context, book, serialize, ledger.clock)
            try:
                if inspect.isasyncgenfunction(behaviour):
                    async with aclosing(behaviour(request, measured_context)) as messages:
                        async for message in messages:
                            await measured_context.write(message)
                else:
                    await behaviour(request, measured_context)
            except asyncio.CancelledError:
                await measured_context.end_if_cut()
                raise
            finally:
                ledger.close(book)

        rebuild = (
            grpc.stream_stream_rpc_method_handler if handler.request_streaming else grpc.unary_stream_rpc_method_handler
        )
        # without a serializer of its own, grpc sends our bytes as they are
        return rebuild(measured, handler.request_deserializer, None)

    def _named(self, identity: Identity, context: Any) -> Identity:
        name = None if self._name_of is None else self._name_of(context, identity.client)
        return identity if name is None else replace(identity, client=name)

    async def handlers_ended(self) -> None:
        """Return once no handler of any method runs, and all books are closed. To be awaited after `Server.stop`.

        `stop` returns when the transport has ended the calls, which is before their handlers have. An event loop that
        ends in between cancels what grpc still does, and grpc prints a traceback for each call (grpcio 1.85).
        """
        while self._handlers:
            await asyncio.wait(self._handlers)


def _identity(message: bytes) -> bytes:
    return message
