"""Interceptors of a channel to stand beside ours: who looks at all, and who changes a call."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from typing import Any

import grpc

from mirror import Mirror


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

    def _spied(self, requests: Any) -> Any:
        note: Callable[..., None] = functools.partial(self._mirror.diary.note, "client spy")
        note("requests", [isinstance(requests, style) for style in (AsyncIterable, AsyncIterator, Iterable, Iterator)])

        async def each_async() -> Any:
            async for request in requests:
                note("request", type(request).__name__)
                yield request

        def each() -> Any:
            for request in requests:
                note("request", type(request).__name__)
                yield request

        return each_async() if isinstance(requests, AsyncIterable) else each()


class UnaryStreamSpy(_ClientSpy, grpc.aio.UnaryStreamClientInterceptor):
    async def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return await self._intercept(grpc.aio.UnaryStreamCall, continuation, client_call_details, request)


class StreamStreamSpy(_ClientSpy, grpc.aio.StreamStreamClientInterceptor):
    async def intercept_stream_stream(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        spied = self._spied(request_iterator)
        return await self._intercept(grpc.aio.StreamStreamCall, continuation, client_call_details, spied)


class StreamUnarySpy(_ClientSpy, grpc.aio.StreamUnaryClientInterceptor):
    async def intercept_stream_unary(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        spied = self._spied(request_iterator)
        return await self._intercept(grpc.aio.StreamUnaryCall, continuation, client_call_details, spied)


class ReadingSpy(grpc.aio.UnaryStreamClientInterceptor):
    """Reads the call that it gets by `read`, and hands the messages on by a generator."""

    async def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        call = await continuation(client_call_details, request)

        async def messages() -> Any:
            while (message := await call.read()) is not grpc.aio.EOF:
                yield message

        return messages()


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


class StreamUnaryRewriter(_Rewriter, grpc.aio.StreamUnaryClientInterceptor):
    async def intercept_stream_unary(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        return await continuation(self._rewritten(client_call_details), request_iterator)


class PlainUnaryStream(grpc.aio.UnaryStreamClientInterceptor):
    """Does nothing, and is there: what a caller sees then, any interceptor makes him see."""

    async def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return await continuation(client_call_details, request)


class PlainStreamStream(grpc.aio.StreamStreamClientInterceptor):
    """The same for the other kind of call."""

    async def intercept_stream_stream(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        return await continuation(client_call_details, request_iterator)


class PlainStreamUnary(grpc.aio.StreamUnaryClientInterceptor):
    """And for the third."""

    async def intercept_stream_unary(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        return await continuation(client_call_details, request_iterator)
