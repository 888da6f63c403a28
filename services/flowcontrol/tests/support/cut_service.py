"""A service whose streams the test ends from outside of their handlers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc

from flowcontrol import (
    FlowControlServerInterceptor,
    MeasuredStream,
    SendBook,
    Window,
    current_stream,
)

from waiting import until

MESSAGE = bytes(995)
WINDOW = Window(16_384)
FULL = 16
"""Messages that the window takes."""
CODE = grpc.StatusCode.RESOURCE_EXHAUSTED
TRAILERS = (("why", "slow"), ("why-bin", b"\x00\xff"))


class CutService(grpc.GenericRpcHandler):
    """Hands its streams to the test; `flood` writes without end, `wait` sends one message and waits for ever."""

    def __init__(self) -> None:
        self.streams: list[MeasuredStream] = []
        self.ended: list[str] = []

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes] | None:
        methods: dict[str, Any] = {"generated": self.generated, "written": self.written, "wait": self.wait}
        behaviour = methods.get(details.method.rpartition("/")[2])
        return behaviour and grpc.unary_stream_rpc_method_handler(behaviour)

    async def generated(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        self.streams.append(current_stream())
        try:
            while True:
                yield MESSAGE
        finally:
            self.ended.append("generated")

    async def written(self, request: bytes, context: Any) -> None:
        self.streams.append(current_stream())
        try:
            while True:
                await context.write(MESSAGE)
        finally:
            self.ended.append("written")

    async def wait(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        self.streams.append(current_stream())
        try:
            yield MESSAGE
            await asyncio.Event().wait()
        finally:
            self.ended.append("wait")


class Session:
    def __init__(
        self, service: CutService, interceptor: FlowControlServerInterceptor, server: grpc.aio.Server, port: int
    ) -> None:
        self.service = service
        self.interceptor = interceptor
        self.ledger = interceptor.ledger
        self.server = server
        self.channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=WINDOW.channel_options())

    def call(self, method: str) -> Any:
        return self.channel.unary_stream(f"/cut.Cut/{method}")(b"")

    async def blocked(self, method: str) -> tuple[Any, SendBook]:
        """Open a stream that nobody reads; return it once a write is blocked."""
        call = self.call(method)
        await until(lambda: self.ledger.open_books())
        (book,) = self.ledger.open_books()
        await until(
            lambda: book.messages == FULL and book.writing.lap_seconds(self.ledger.clock()) > 0.05,
            what="a blocked write, not one that waits for the processor",
        )
        assert (book.messages, book.in_write) == (FULL, 1)
        return call, book

    def cut(self) -> None:
        self.service.streams[-1].cut(CODE, "too slow", TRAILERS)

    async def no_stream_open(self) -> None:
        await until(self.ledger.open_books, lambda books: books == [], what="no open stream")


@asynccontextmanager
async def cut_session() -> AsyncIterator[Session]:
    interceptor = FlowControlServerInterceptor()
    service = CutService()
    server = grpc.aio.server(interceptors=[interceptor])
    server.add_generic_rpc_handlers((service,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    session = Session(service, interceptor, server, port)
    try:
        yield session
    finally:
        await session.channel.close()
        await server.stop(0)
        await asyncio.wait_for(interceptor.handlers_ended(), 5)
