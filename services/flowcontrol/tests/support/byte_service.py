"""A service of byte messages, without protobuf: what the library measures, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from prometheus_client import CollectorRegistry

from flowcontrol import (
    FlowControlClientInterceptor,
    FlowControlServerInterceptor,
    Ledger,
    ReceiveBook,
    SendBook,
    Window,
)

SERVICE = "bytes.Bytes"

GENERATED = f"{SERVICE}/Generated"
"""Response stream of an async generator; the request is how many messages, empty: without end."""
WRITTEN = f"{SERVICE}/Written"
"""The same by `context.write`."""
ECHO_GENERATED = f"{SERVICE}/EchoGenerated"
ECHO_WRITTEN = f"{SERVICE}/EchoWritten"
"""Both streams: each request comes back."""
ABORTED = f"{SERVICE}/Aborted"
"""One message, then DATA_LOSS."""
BROKEN = f"{SERVICE}/Broken"
"""One message, then an exception."""
SYNCHRONOUS = f"{SERVICE}/Synchronous"
"""A plain generator, which grpc runs in a thread."""
UNARY = f"{SERVICE}/Unary"
UPLOADED = f"{SERVICE}/Uploaded"
"""Request stream, read by `async for` as the service is `allowed`; the answer is how many messages."""
UPLOADED_BY_READ = f"{SERVICE}/UploadedByRead"
"""The same by `context.read`."""


class ByteService(grpc.GenericRpcHandler):
    """Sends messages of `message_bytes`; a `pace` of its own may hold the handlers back."""

    def __init__(self, message_bytes: int = 95) -> None:
        self._message = bytes(message_bytes)
        self.ended: list[str] = []
        """Handlers that have come to their end, whatever the reason."""
        self.allowed = asyncio.Semaphore(0)
        """How many requests those who are uploaded to may read."""
        self.reads_all = False

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes] | None:
        unary, stream = grpc.unary_stream_rpc_method_handler, grpc.stream_stream_rpc_method_handler
        handlers: dict[str, Any] = {
            GENERATED: unary(self.generated),
            WRITTEN: unary(self.written),
            ECHO_GENERATED: stream(self.echo_generated),
            ECHO_WRITTEN: stream(self.echo_written),
            ABORTED: unary(self.aborted),
            BROKEN: unary(self.broken),
            SYNCHRONOUS: unary(self.synchronous),
            UPLOADED: grpc.stream_unary_rpc_method_handler(self.uploaded),
            UPLOADED_BY_READ: grpc.stream_unary_rpc_method_handler(self.uploaded_by_read),
            UNARY: grpc.unary_unary_rpc_method_handler(self.unary),
        }
        return handlers.get(handler_call_details.method.removeprefix("/"))

    def _messages(self, request: bytes) -> Iterator[bytes]:
        left = int(request) if request else None
        while left is None or left > 0:
            yield self._message
            left = None if left is None else left - 1

    async def generated(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        try:
            for message in self._messages(request):
                yield message
        finally:
            self.ended.append(GENERATED)

    async def written(self, request: bytes, context: Any) -> None:
        try:
            for message in self._messages(request):
                await context.write(message)
        finally:
            self.ended.append(WRITTEN)

    async def echo_generated(self, requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        async for request in requests:
            yield request

    async def echo_written(self, requests: AsyncIterator[bytes], context: Any) -> None:
        async for request in requests:
            await context.write(request)

    async def aborted(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        yield self._message
        await context.abort(grpc.StatusCode.DATA_LOSS, "given up")

    async def broken(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        yield self._message
        raise LookupError("a bug in the handler")

    def synchronous(self, request: bytes, context: Any) -> Iterator[bytes]:
        yield from self._messages(request)

    async def _may_read(self) -> None:
        if not self.reads_all:
            await self.allowed.acquire()

    def read_all(self) -> None:
        """Let those who are uploaded to read all."""
        self.reads_all = True
        self.allowed.release()

    async def uploaded(self, requests: AsyncIterator[bytes], context: Any) -> bytes:
        count = 0
        await self._may_read()
        async for _ in requests:
            count += 1
            await self._may_read()
        return str(count).encode()

    async def uploaded_by_read(self, requests: AsyncIterator[bytes], context: Any) -> bytes:
        count = 0
        await self._may_read()
        while await context.read() is not grpc.aio.EOF:
            count += 1
            await self._may_read()
        return str(count).encode()

    async def unary(self, request: bytes, context: Any) -> bytes:
        return request


@asynccontextmanager
async def session_of(
    server_side: list[grpc.aio.ServerInterceptor],
    client_side: list[grpc.aio.ClientInterceptor],
    handlers: grpc.GenericRpcHandler | None = None,
    *,
    compression: grpc.Compression | None = None,
    options: list[tuple[str, int]] | None = None,
) -> AsyncIterator[grpc.aio.Channel]:
    """Start a server of a service, by default of bytes, and open a channel to it; end both at the end."""
    server = grpc.aio.server(interceptors=server_side, compression=compression)
    server.add_generic_rpc_handlers((ByteService() if handlers is None else handlers,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options, interceptors=client_side) as channel:
        yield channel
    await server.stop(0)


@dataclass
class Session:
    """A server and a client of it, measured at both ends."""

    service: ByteService
    sent: Ledger[SendBook]
    received: Ledger[ReceiveBook]
    channel: grpc.aio.Channel
    port: int
    server_registry: CollectorRegistry
    client_registry: CollectorRegistry
    uploaded: Ledger[SendBook]
    """What the client uploads."""
    taken: Ledger[ReceiveBook]
    """What the server reads of that."""
    _calls: list[Any] = field(default_factory=list)

    def call(self, method: str, request: bytes = b"", **arguments: Any) -> Any:
        """Open a unary-stream call."""
        # unread calls are cancelled once they are garbage, so keep them
        self._calls.append(self.channel.unary_stream(f"/{method}")(request, **arguments))
        return self._calls[-1]

    def echo(self, method: str, **arguments: Any) -> Any:
        """Open a stream-stream call."""
        self._calls.append(self.channel.stream_stream(f"/{method}")(**arguments))
        return self._calls[-1]

    def upload(self, method: str, requests: Any = None, **arguments: Any) -> Any:
        """Open a stream-unary call."""
        self._calls.append(self.channel.stream_unary(f"/{method}")(requests, **arguments))
        return self._calls[-1]

    def sent_books(self) -> list[SendBook]:
        """Return the books of the open streams, as the server has them."""
        return [book for account in self.sent.statement().accounts.values() for book in account.open_books]

    def sent_tally(self, method: str) -> dict[str, float]:
        """Return the counts of all streams of a method, as the server has them."""
        return self.sent.statement().methods.get(method, {})

    def received_tally(self, method: str) -> dict[str, float]:
        """Return the counts of all streams of a method, as the client has them."""
        return self.received.statement().methods.get(method, {})


@asynccontextmanager
async def byte_session(
    message_bytes: int = 95,
    *,
    window: Window | None = None,
    server_window: Window | None = None,
    client: str = "tester",
    sent: Ledger[SendBook] | None = None,
    clock: Callable[[], float] | None = None,
) -> AsyncIterator[Session]:
    """Start a server on a free port of 127.0.0.1 and a client with a `window`; end both at the end."""
    server_registry, client_registry = CollectorRegistry(), CollectorRegistry()
    sent = Ledger(SendBook) if sent is None else sent
    server_window = Window() if server_window is None else server_window
    server_side = FlowControlServerInterceptor(ledger=sent, registry=server_registry, window=server_window)
    service = ByteService(message_bytes)
    server = grpc.aio.server(interceptors=[server_side], options=server_window.server_options())
    server.add_generic_rpc_handlers((service,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    window = Window() if window is None else window
    received = Ledger(ReceiveBook) if clock is None else Ledger(ReceiveBook, clock=clock)
    client_side = FlowControlClientInterceptor(
        client, window, ledger=received, registry=client_registry, size_of=len, server_window=server_window
    )
    channel = grpc.aio.insecure_channel(
        f"127.0.0.1:{port}", options=window.channel_options(), interceptors=client_side.interceptors
    )
    try:
        yield Session(
            service,
            sent,
            received,
            channel,
            port,
            server_registry,
            client_registry,
            client_side.uploads,
            server_side.uploads,
        )
    finally:
        await channel.close()
        await server.stop(0)
        await asyncio.wait_for(server_side.handlers_ended(), 5)
