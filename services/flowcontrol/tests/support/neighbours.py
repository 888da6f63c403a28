"""Other interceptors to stand in front of ours and behind it: tracing ones, and of each kind that changes a call."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import grpc
from opentelemetry.instrumentation.grpc import aio_client_interceptors, aio_server_interceptor
from sentry_sdk.integrations.grpc.aio import ServerInterceptor as SentryServerInterceptor
from sentry_sdk.integrations.grpc.aio.client import SentryUnaryStreamClientInterceptor

from mirror import CODECS, Mirror


@dataclass
class Chain:
    """What stands in front of ours and behind it, at both ends."""

    server_front: list[Any] = field(default_factory=list)
    server_behind: list[Any] = field(default_factory=list)
    client_front: list[Any] = field(default_factory=list)
    client_behind: list[Any] = field(default_factory=list)


class ServerSpy(grpc.aio.ServerInterceptor):
    """Writes down what an interceptor can see of a handler and of what goes through; iterates, and wraps `write`."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror

    def _note(self, about: str, what: object = "") -> None:
        self._mirror.diary.note("server spy", about, what)

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        handler = await continuation(handler_call_details)
        if handler is None or not handler.response_streaming:
            return handler
        shape = "stream_stream" if handler.request_streaming else "unary_stream"
        behaviour = getattr(handler, shape)
        self._note("handler", (type(handler).__name__, behaviour.__name__, behaviour.__doc__))
        self._note("style", (inspect.isasyncgenfunction(behaviour), inspect.iscoroutinefunction(behaviour)))
        serialize = handler.response_serializer
        self._note("serializer", serialize and serialize(self._mirror.codec.make(3)))
        self._note("deserializer", getattr(handler.request_deserializer, "__name__", None))
        spied: Any = behaviour
        if inspect.isasyncgenfunction(behaviour):
            spied = functools.partial(self._iterate, behaviour)
        elif inspect.iscoroutinefunction(behaviour):
            spied = functools.partial(self._await, behaviour)
        make: Any = getattr(grpc, f"{shape}_rpc_method_handler")
        return make(spied, handler.request_deserializer, serialize)

    async def _iterate(self, behaviour: Any, request: Any, context: Any) -> Any:
        try:
            async for message in behaviour(request, SpiedContext(context, self._note)):
                self._note("yielded", type(message).__name__)
                yield message
        except BaseException as error:
            self._mirror.diary.note_end("server spy", error)
            raise

    async def _await(self, behaviour: Any, request: Any, context: Any) -> Any:
        try:
            return await behaviour(request, SpiedContext(context, self._note))
        except BaseException as error:
            self._mirror.diary.note_end("server spy", error)
            raise


class SpiedContext:
    """A context whose `write` is somebody else's."""

    def __init__(self, context: Any, note: Callable[[str, object], None]) -> None:
        self._context = context
        self._note = note

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    async def write(self, message: Any) -> None:
        self._note("written", type(message).__name__)
        await self._context.write(message)


class _ClientSpy:
    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror

    async def _intercept(self, kind: type, continuation: Any, details: Any, request: Any) -> Any:
        note: Callable[..., None] = functools.partial(self._mirror.diary.note, "client spy")
        note("details", (type(details).__name__, details.timeout is None, details.wait_for_ready))
        call = await continuation(details, request)
        note("is a call", isinstance(call, kind))
        for name in ("done", "cancelled", "time_remaining"):
            self._mirror.diary.outcome("client spy", name, lambda name=name: type(getattr(call, name)()).__name__)
        try:
            call.add_done_callback(lambda given: note("callback is given its call", given is call))
        except AttributeError:
            note("callback", "cannot be added")
        return call


class UnaryStreamSpy(_ClientSpy, grpc.aio.UnaryStreamClientInterceptor):
    async def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return await self._intercept(grpc.aio.UnaryStreamCall, continuation, client_call_details, request)


class StreamStreamSpy(_ClientSpy, grpc.aio.StreamStreamClientInterceptor):
    async def intercept_stream_stream(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        return await self._intercept(grpc.aio.StreamStreamCall, continuation, client_call_details, request_iterator)


class ReadingSpy(grpc.aio.UnaryStreamClientInterceptor):
    """Reads the call that it gets by `read`, and hands the messages on by a generator."""

    async def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        call = await continuation(client_call_details, request)

        async def messages() -> Any:
            while (message := await call.read()) is not grpc.aio.EOF:
                yield message

        return messages()


class Guard(grpc.aio.ServerInterceptor):
    """Refuses calls with a bad token, by a handler of its own, as grpc's documentation shows it."""

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        if ("token", "bad") not in [tuple(pair) for pair in handler_call_details.invocation_metadata]:
            return await continuation(handler_call_details)

        async def refuse(request: Any, context: Any) -> None:
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "no such token")

        return grpc.unary_unary_rpc_method_handler(refuse)


class ServerCache(grpc.aio.ServerInterceptor):
    """Answers without asking the handler, in the way of the method."""

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        handler = await continuation(handler_call_details)
        keys = [key for key, _ in handler_call_details.invocation_metadata]
        if "cached" not in keys or handler is None or not handler.response_streaming:
            return handler
        codec = CODECS[handler_call_details.method.rpartition(".")[2]]

        async def answer(request: Any, context: Any) -> Any:
            for size in (7, 8):
                yield codec.make(size)

        shape = "stream_stream" if handler.request_streaming else "unary_stream"
        make: Any = getattr(grpc, f"{shape}_rpc_method_handler")
        return make(answer, handler.request_deserializer, handler.response_serializer)


class ClientCache(grpc.aio.UnaryStreamClientInterceptor):
    """Answers without making a call."""

    async def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        if "cached" not in (client_call_details.metadata or ()):
            return await continuation(client_call_details, request)

        async def answer() -> Any:
            for size in (7, 8):
                yield bytes(size)

        return answer()


class Details:
    """Call details that are no named tuple."""

    def __init__(self, of: Any, **other: Any) -> None:
        for name in ("method", "timeout", "metadata", "credentials", "wait_for_ready"):
            setattr(self, name, other.get(name, getattr(of, name)))
        self.mine = "kept"


class _Rewriter:
    def _rewritten(self, details: Any) -> Any:
        return Details(details, metadata=grpc.aio.Metadata(*(details.metadata or ()), ("rewritten", "1")))


class UnaryStreamRewriter(_Rewriter, grpc.aio.UnaryStreamClientInterceptor):
    async def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return await continuation(self._rewritten(client_call_details), request)


class StreamStreamRewriter(_Rewriter, grpc.aio.StreamStreamClientInterceptor):
    async def intercept_stream_stream(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        return await continuation(self._rewritten(client_call_details), request_iterator)


def chains(mirror: Mirror) -> dict[str, Chain]:
    """Return who stands where, by name."""
    spies = [UnaryStreamSpy(mirror), StreamStreamSpy(mirror)]
    otel, sentry = aio_client_interceptors(), [SentryUnaryStreamClientInterceptor()]
    rewriters = [UnaryStreamRewriter(), StreamStreamRewriter()]
    return {
        "nobody": Chain(),
        "spies in front": Chain(server_front=[ServerSpy(mirror)], client_front=spies),
        "spies behind": Chain(server_behind=[ServerSpy(mirror)], client_behind=spies),
        "a reader in front": Chain(client_front=[ReadingSpy()]),
        "a reader behind": Chain(client_behind=[ReadingSpy()]),
        "opentelemetry in front": Chain(server_front=[aio_server_interceptor()], client_front=otel),
        "opentelemetry behind": Chain(server_behind=[aio_server_interceptor()], client_behind=otel),
        "sentry in front": Chain(server_front=[SentryServerInterceptor()], client_front=sentry),
        "sentry behind": Chain(server_behind=[SentryServerInterceptor()], client_behind=sentry),
        "a guard in front": Chain(server_front=[Guard()]),
        "a guard behind": Chain(server_behind=[Guard()]),
        "caches in front": Chain(server_front=[ServerCache()], client_front=[ClientCache()]),
        "a cache behind, at the server": Chain(server_behind=[ServerCache()]),
        "a cache behind, at the client": Chain(client_behind=[ClientCache()]),
        # at the client only: a server of grpc's takes no other details than its own
        "rewriters in front": Chain(client_front=rewriters),
        "rewriters behind": Chain(client_behind=rewriters),
    }


class PlainServer(grpc.aio.ServerInterceptor):
    """Does nothing, and is there."""

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        return await continuation(handler_call_details)


class PlainUnaryStream(grpc.aio.UnaryStreamClientInterceptor):
    """Does nothing, and is there: what a caller sees then, any interceptor makes him see."""

    async def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return await continuation(client_call_details, request)


class PlainStreamStream(grpc.aio.StreamStreamClientInterceptor):
    """The same for the other kind of call."""

    async def intercept_stream_stream(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        return await continuation(client_call_details, request_iterator)
