"""Interceptors of a server to stand beside ours: who looks at all, and who changes a call."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc

from mirror import CODECS, Mirror


def _shape(handler: Any) -> str:
    return f"{'stream' if handler.request_streaming else 'unary'}_{'stream' if handler.response_streaming else 'unary'}"


def _remade(handler: Any, behaviour: Any) -> Any:
    make: Any = getattr(grpc, f"{_shape(handler)}_rpc_method_handler")
    return make(behaviour, handler.request_deserializer, handler.response_serializer)


class ServerSpy(grpc.aio.ServerInterceptor):
    """Writes down what an interceptor can see of a handler and of what goes through; iterates, and wraps `write`."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror

    def _note(self, about: str, what: object = "") -> None:
        self._mirror.diary.note("server spy", about, what)

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        shape = _shape(handler)
        behaviour = getattr(handler, shape)
        self._note("handler", (type(handler).__name__, behaviour.__name__, behaviour.__doc__))
        self._note("style", (inspect.isasyncgenfunction(behaviour), inspect.iscoroutinefunction(behaviour)))
        serialize, deserialize = handler.response_serializer, handler.request_deserializer
        self._note("serializer", serialize and serialize(self._mirror.codec.make(3)))
        self._note("deserializer", deserialize and (deserialize(b"[[0]]"), deserialize.__name__))
        spied: Any = behaviour
        if inspect.isasyncgenfunction(behaviour):
            spied = functools.partial(self._iterate, behaviour)
        elif inspect.iscoroutinefunction(behaviour):
            spied = functools.partial(self._await, behaviour)
        return _remade(handler, spied)

    def _spied(self, request: Any) -> Any:
        if isinstance(request, (list, bytes)):
            return request
        self._note("requests", isinstance(request, AsyncIterator))
        return SpiedRequests(request, self._note)

    async def _iterate(self, behaviour: Any, request: Any, context: Any) -> Any:
        try:
            async for message in behaviour(self._spied(request), SpiedContext(context, self._note)):
                self._note("yielded", type(message).__name__)
                yield message
        except BaseException as error:
            self._mirror.diary.note_end("server spy", error)
            raise

    async def _await(self, behaviour: Any, request: Any, context: Any) -> Any:
        try:
            return await behaviour(self._spied(request), SpiedContext(context, self._note))
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

    async def read(self) -> Any:
        request = await self._context.read()
        self._note("read", type(request).__name__)
        return request


class SpiedRequests:
    """Requests that somebody else iterates."""

    def __init__(self, requests: Any, note: Callable[[str, object], None]) -> None:
        self._requests = self._iterated(requests)
        self._note = note

    def __aiter__(self) -> AsyncIterator[Any]:
        return self._requests

    async def __anext__(self) -> Any:
        return await anext(self._requests)

    async def _iterated(self, requests: Any) -> Any:
        async for request in requests:
            self._note("request", type(request).__name__)
            yield request


class Forwarder(grpc.aio.ServerInterceptor):
    """Passes on what is sent to a handler and thrown at it; throws by itself where the metadata ask for it."""

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        handler = await continuation(handler_call_details)
        if handler is None or not inspect.isasyncgenfunction(getattr(handler, _shape(handler))):
            return handler
        throws = "throw" in [key for key, _ in handler_call_details.invocation_metadata]
        return _remade(handler, functools.partial(self._forward, getattr(handler, _shape(handler)), throws))

    async def _forward(self, behaviour: Any, throws: bool, request: Any, context: Any) -> Any:
        messages = behaviour(request, context)
        step = messages.asend(None)
        while True:
            try:
                message = await step
            except StopAsyncIteration:
                return
            if throws:
                throws = False
                step = messages.athrow(KeyError("not this one"))
                continue
            try:
                sent = yield message
            except GeneratorExit:
                await messages.aclose()
                raise
            except BaseException as thrown:
                step = messages.athrow(thrown)
            else:
                step = messages.asend(sent)


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

        return _remade(handler, answer)


class PlainServer(grpc.aio.ServerInterceptor):
    """Does nothing, and is there."""

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        return await continuation(handler_call_details)
