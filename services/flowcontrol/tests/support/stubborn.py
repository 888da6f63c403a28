"""Handlers that do as they are told once their stream is cut, and calls of them whose status must be the cut's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import grpc
import pytest

from flowcontrol import FlowControlServerInterceptor, MeasuredStream, Window, current_stream

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
        if self.does == "failed":
            raise LookupError("a bug in the handler")
        if self.does in ("itself", "returned"):
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
