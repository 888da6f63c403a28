"""The port that Prometheus scrapes, and that tells whether the service lives and is ready."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import parse_qs

import h11
import structlog
from prometheus_client import CollectorRegistry, disable_created_metrics
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from servicekit.descriptors import SHORTAGES, leave_shortages_to_watch, watch_descriptors
from servicekit.healthcheck import READY_PATH
from servicekit.logs.writer import EVENTS_LOST
from servicekit.metrics.page import MetricsPage

METRICS_PATH = "/metrics"
HEALTH_PATH = "/healthz"
"""Answers 200 as long as the port answers at all."""

REQUEST_SECONDS = 10.0
"""For a request and its answer, handshake included: Prometheus' own default for a scrape."""
MOST_CONNECTIONS = 200
"""Beyond these, who has been silent for longest has to go."""
LARGEST_REQUEST_BYTES = 8_192
PIECE_BYTES = 262_144
"""Of a page, that are copied for a scraper at a time."""

log = structlog.get_logger()


@dataclass(frozen=True)
class Answer:
    """What a request gets."""

    status: HTTPStatus
    body: bytes
    content_type: str = "text/plain; charset=utf-8"
    compressed: bool = False


def new_registry() -> CollectorRegistry:
    """Return a registry that holds the process' own metrics: memory, processor time, Python, and what it ran out of."""
    disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for every counter, which nothing here reads
    registry = CollectorRegistry(auto_describe=True)  # so that a filter finds what each collector has
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    registry.register(EVENTS_LOST)
    registry.register(SHORTAGES)
    return registry


def serve_metrics(
    registry: CollectorRegistry,
    host: str,
    port: int,
    problem: Callable[[], str | None] | None = None,
    ssl_context: ssl.SSLContext | None = None,
) -> int:
    """Serve `/metrics` and `/healthz` from a thread; return the port, which differs from `port` where that is 0.

    `problem` returns why the service is not ready, or None where it is; with it, `/ready` is served too. The thread has
    an event loop of its own, so that no scrape waits for streams, nor a stream for a scraper. Raises OSError where the
    address cannot be had.
    """
    if host == "::" and not socket.has_dualstack_ipv6():
        host = "0.0.0.0"  # noqa: S104 - as grpc does, on a host whose kernel has no IPv6
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    # "::" is all addresses, those of IPv4 too, where the host has both
    both = family == socket.AF_INET6 and socket.has_dualstack_ipv6()
    listener = socket.create_server(
        (str(address[0]), port), family=family, backlog=MOST_CONNECTIONS, dualstack_ipv6=both
    )
    listening: Future[None] = Future()
    metrics_port = MetricsPort(MetricsPage(registry), problem)
    serving = metrics_port.serve(listener, ssl_context, listening)
    threading.Thread(target=asyncio.run, args=(serving,), name="metrics", daemon=True).start()
    listening.result()
    return int(listener.getsockname()[1])


class MetricsPort:
    """Answers one request per connection, one after another, within a time."""

    def __init__(self, page: MetricsPage, problem: Callable[[], str | None] | None) -> None:
        self._page = page
        self._problem = problem
        self._asking: dict[asyncio.Task[None], None] = {}
        """Connections whose request is not whole yet, the oldest first."""
        self._connections = 0

    async def serve(self, listener: socket.socket, ssl_context: ssl.SSLContext | None, listening: Future[None]) -> None:
        """Serve for ever; tell `listening` once connections are taken."""
        asyncio.get_running_loop().set_exception_handler(leave_shortages_to_watch)
        watching = asyncio.create_task(watch_descriptors())  # here, for nothing else holds this loop up
        handshake_seconds = None if ssl_context is None else REQUEST_SECONDS
        server = await asyncio.start_server(
            self._connected, sock=listener, ssl=ssl_context, ssl_handshake_timeout=handshake_seconds
        )
        listening.set_result(None)
        await asyncio.gather(server.serve_forever(), watching)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._connections >= MOST_CONNECTIONS:
            if not self._asking:
                writer.transport.abort()
                return
            next(iter(self._asking)).cancel()
        self._connections += 1
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - asyncio calls this in a task
        self._asking[task] = None
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=LARGEST_REQUEST_BYTES)
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                request = None
                try:
                    request = await _request(connection, reader)
                    answer = await self._answer(request)
                except h11.RemoteProtocolError as error:
                    answer = Answer(HTTPStatus(error.error_status_hint), f"{error}\n".encode())
                self._asking.pop(task)
                await _send(writer, connection, answer, request is None or request.method != b"HEAD")
        except (TimeoutError, OSError, EOFError, asyncio.CancelledError):
            pass  # too slow, gone, or pushed out by those who came later
        finally:
            self._asking.pop(task, None)
            self._connections -= 1
            writer.transport.abort()

    async def _answer(self, request: h11.Request) -> Answer:
        path, _, query = request.target.decode("latin-1").partition("?")
        if request.method not in (b"GET", b"HEAD"):
            return Answer(HTTPStatus.METHOD_NOT_ALLOWED, b"only GET and HEAD\n")
        if path == METRICS_PATH:
            return await self._metrics(dict(request.headers), frozenset(parse_qs(query).get("name[]", ())))
        if path == READY_PATH and self._problem is not None:
            found = self._problem()
            status = HTTPStatus.OK if found is None else HTTPStatus.SERVICE_UNAVAILABLE
            return Answer(status, f"{found or 'ready'}\n".encode())
        if path == HEALTH_PATH:
            return Answer(HTTPStatus.OK, b"ok\n")
        return Answer(HTTPStatus.NOT_FOUND, f"the metrics are at {METRICS_PATH}\n".encode())

    async def _metrics(self, headers: dict[bytes, bytes], names: frozenset[str]) -> Answer:
        compressed = b"gzip" in headers.get(b"accept-encoding", b"")
        try:
            page = await self._page.get(headers.get(b"accept", b"").decode("latin-1"), names, compressed=compressed)
        except Exception:
            log.exception("metrics.render.failed")
            return Answer(HTTPStatus.INTERNAL_SERVER_ERROR, b"the metrics cannot be read\n")
        return Answer(HTTPStatus.OK, page.body, page.content_type, compressed)


async def _request(connection: h11.Connection, reader: asyncio.StreamReader) -> h11.Request:
    while True:
        event = connection.next_event()
        if isinstance(event, h11.Request):
            return event
        if event is not h11.NEED_DATA:
            raise EOFError
        connection.receive_data(await reader.read(LARGEST_REQUEST_BYTES))


async def _send(writer: asyncio.StreamWriter, connection: h11.Connection, answer: Answer, with_body: bool) -> None:
    status, body = answer.status, answer.body
    headers = [("Content-Type", answer.content_type), ("Content-Length", str(len(body))), ("Connection", "close")]
    if answer.compressed:
        headers.append(("Content-Encoding", "gzip"))
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        headers.append(("Allow", "GET, HEAD"))
    writer.write(connection.send(h11.Response(status_code=status, reason=status.phrase, headers=headers)) or b"")
    for begin in range(0, len(body) if with_body else 0, PIECE_BYTES):
        writer.write(memoryview(body)[begin : begin + PIECE_BYTES])
        await writer.drain()
    writer.close()
    await writer.wait_closed()
