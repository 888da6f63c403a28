"""The status of a cut is the stream's, whatever its handler does about it, in every style and beside neighbours."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import grpc
import pytest
from opentelemetry.instrumentation.grpc import aio_server_interceptor

from flowcontrol import FlowControlServerInterceptor, MeasuredStream, Window, current_stream

from mirror import CODECS, Mirror
from server_neighbours import ServerSpy
from waiting import until

CODE = grpc.StatusCode.RESOURCE_EXHAUSTED
WINDOW = Window(16_384)
SMALL, LARGE = bytes(10), bytes(20_000)
"""One that fits into the window, and one that does not."""


class Stubborn(grpc.GenericRpcHandler):
    """Handlers that wait, or write, and do as the method's name says once they are to end."""

    def __init__(self) -> None:
        self.streams: list[MeasuredStream] = []
        self.ended = 0

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        style, self.does = handler_call_details.method.removeprefix("/stubborn.Stubborn/").split(".")
        return grpc.unary_stream_rpc_method_handler(getattr(self, style))

    @contextmanager
    def _a_handler_runs(self) -> Iterator[None]:
        self.streams.append(current_stream())
        try:
            yield
        finally:
            self.ended += 1

    async def generator(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        with self._a_handler_runs():
            yield SMALL
            await self.wait(context)
            if self.does == "goes on":
                yield SMALL

    async def coroutine(self, request: bytes, context: Any) -> None:
        with self._a_handler_runs():
            await context.write(SMALL)
            await self.wait(context)
            if self.does == "goes on":
                await context.write(SMALL)

    async def blocked_generator(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        with self._a_handler_runs():
            try:
                yield LARGE
            except GeneratorExit:
                if self.does == "fails":
                    raise LookupError("a bug in the handler") from None
                raise

    async def blocked_coroutine(self, request: bytes, context: Any) -> None:
        with self._a_handler_runs():
            try:
                await context.write(LARGE)
            except asyncio.CancelledError:
                if self.does == "fails":
                    raise LookupError("a bug in the handler") from None
                if self.does != "returns":
                    raise

    async def wait(self, context: Any) -> None:
        if self.does == "itself":
            self.streams[-1].cut(CODE, "too slow")
            return
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if self.does == "fails":
                raise LookupError("a bug in the handler") from None
            if self.does == "aborts":
                await context.abort(grpc.StatusCode.ABORTED, "by itself")
            if self.does == "waits":
                await asyncio.sleep(0.05)


class Session:
    def __init__(self, handlers: Stubborn, interceptor: FlowControlServerInterceptor, channel: Any) -> None:
        self.handlers = handlers
        self.ledger = interceptor.ledger
        self._channel = channel

    def call(self, style: str, does: str) -> Any:
        return self._channel.unary_stream(f"/stubborn.Stubborn/{style}.{does}")(b"")

    async def ends_by_the_cut(self, call: Any) -> list[int]:
        """Read to the end; return the sizes of what came before the status."""
        sizes = []

        async def read() -> None:
            while True:
                sizes.append(len(await asyncio.wait_for(call.read(), 5)))

        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await read()
        assert (ended.value.code(), ended.value.details()) == (CODE, "too slow")
        await until(lambda: self.handlers.ended == 1 and not self.ledger.open_books())
        (tally,) = self.ledger.statement().methods.values()
        assert tally["messages"] == len(sizes)
        assert tally["produced"] == tally["messages"] + tally["dropped"]
        assert self.ledger.faults.count == 0
        return sizes


@asynccontextmanager
async def session(*neighbours: Any) -> AsyncIterator[Session]:
    handlers, interceptor = Stubborn(), FlowControlServerInterceptor()
    server = grpc.aio.server(interceptors=[*neighbours, interceptor])
    server.add_generic_rpc_handlers((handlers,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=WINDOW.channel_options()) as channel:
        yield Session(handlers, interceptor, channel)
    await server.stop(0)
    await asyncio.wait_for(interceptor.handlers_ended(), 5)


@pytest.mark.parametrize("does", ["returns", "goes on", "fails", "waits", "itself"])
@pytest.mark.parametrize("style", ["generator", "coroutine"])
async def test_a_handler_that_waits(style, does, caplog):
    caplog.set_level(logging.CRITICAL, "grpc")  # it logs the handler's exception
    async with session() as opened:
        call = opened.call(style, does)
        assert await call.read() == SMALL
        if does != "itself":
            opened.handlers.streams[0].cut(CODE, "too slow")
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            assert await asyncio.wait_for(call.read(), 5) is None
        assert (ended.value.code(), ended.value.details()) == (CODE, "too slow")
        await until(lambda: opened.handlers.ended == 1 and not opened.ledger.open_books())
        (tally,) = opened.ledger.statement().methods.values()
        assert (tally["messages"], tally["produced"]) == (1, 1 + tally["dropped"])


@pytest.mark.parametrize("style", ["generator", "coroutine"])
async def test_a_handler_that_aborts_meanwhile_changes_nothing(style):
    async with session() as opened:
        call = opened.call(style, "aborts")
        await call.read()
        opened.handlers.streams[0].cut(CODE, "too slow")
        assert await call.code() is CODE


@pytest.mark.parametrize("does", ["returns", "raises", "fails"])
@pytest.mark.parametrize("style", ["blocked_generator", "blocked_coroutine"])
async def test_a_handler_in_its_first_write(style, does, caplog):
    """Whose initial metadata go with the message: grpc would fail to send them once more with the status."""
    caplog.set_level(logging.CRITICAL, "grpc")
    async with session() as opened:
        if (style, does) == ("blocked_generator", "fails"):
            caplog.set_level(logging.CRITICAL, "asyncio")  # nobody awaits a generator that is closed from outside
        call = opened.call(style, does)
        await until(lambda: opened.ledger.open_books() and opened.ledger.open_books()[0].in_write)
        opened.handlers.streams[0].cut(CODE, "too slow")
        await asyncio.sleep(0.05)
        assert await opened.ends_by_the_cut(call) == [len(LARGE)]


@pytest.mark.parametrize("neighbour", ["opentelemetry", "spy"])
@pytest.mark.parametrize("style", ["generator", "blocked_generator"])
async def test_beside_a_neighbour_in_front(style, neighbour):
    mirror = Mirror()
    mirror.codec = CODECS["raw"]
    front = aio_server_interceptor() if neighbour == "opentelemetry" else ServerSpy(mirror)
    async with session(front) as opened:
        call = opened.call(style, "returns")
        await until(lambda: opened.handlers.streams)
        if style == "blocked_generator":
            await until(lambda: opened.handlers.streams[0].book.in_write)
        opened.handlers.streams[0].cut(CODE, "too slow")
        await opened.ends_by_the_cut(call)
        if neighbour == "spy":
            assert mirror.diary.lines["server spy"][-1] == "raised: AbortError"


@pytest.mark.parametrize("style", ["generator", "coroutine"])
async def test_a_client_that_cancels_at_the_same_time_leaves_nothing(style):
    async with session() as opened:
        call = opened.call(style, "returns")
        await call.read()
        opened.handlers.streams[0].cut(CODE, "too slow")
        call.cancel()
        await until(lambda: opened.handlers.ended == 1 and not opened.ledger.open_books())


async def test_outside_of_a_measured_stream_there_is_none():
    with pytest.raises(LookupError, match="is there a FlowControlServerInterceptor"):
        current_stream()
