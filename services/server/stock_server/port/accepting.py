"""Keeps the port open: where grpc's server has ended by itself, another one takes its place."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import grpc
import structlog
from prometheus_client import CollectorRegistry, Counter

LOOK_EVERY_SECONDS = 0.05
PORT_WITHIN_SECONDS = 10.0
"""How long the port may stay away before the server gives up."""

log = structlog.get_logger()


class AcceptingServer:
    """The server that takes new streams, and those before it whose streams go on.

    One request whose `:path` is not UTF-8 ends the loop in which grpc.aio takes requests (grpcio 1.85): the port is
    closed, streams that are open go on, and nothing else tells of it than `wait_for_termination`, once it times out.
    `build` returns a server that has not started, and its port, for the port that it is to have; it raises OSError.
    """

    def __init__(self, build: Callable[[int], tuple[grpc.aio.Server, int]], registry: CollectorRegistry) -> None:
        self._build = build
        self._servers: list[grpc.aio.Server] = []
        self._port = 0
        self.lost = False
        """Whether the port could not be had again."""
        self._leaving: set[asyncio.Task[None]] = set()
        self._failures = Counter(
            "stock_server_accept_failures", "How often grpc stopped taking requests by itself.", registry=registry
        )

    async def start(self, port: int) -> int:
        """Take a port and new streams; return the port. Raises OSError where it is not free."""
        server, self._port = self._build(port)
        await server.start()
        self._servers.append(server)
        return self._port

    async def watch(self, on_lost: Callable[[], None]) -> None:
        """Start another server each time that the last one has ended by itself; call `on_lost` where that fails."""
        while True:
            server = self._servers[-1]
            try:
                await server.wait_for_termination(LOOK_EVERY_SECONDS)
            except Exception as error:
                self._failures.inc()
                log.error("server.accept.failed", reason=f"{type(error).__name__}: {error}", port=self._port)
                try:
                    await self._start_again()
                except Exception:
                    log.exception("server.accept.lost", port=self._port)
                    self.lost = True
                    on_lost()
                    return
                self._let_go(server)
                log.warning("server.accept.resumed", port=self._port)

    async def stop(self, grace_seconds: float) -> None:
        """Stop all servers; their streams have so long to end."""
        stops = (server.stop(grace_seconds) for server in self._servers)
        await asyncio.gather(*stops, return_exceptions=True)  # one that has ended by itself may say so once more

    async def _start_again(self) -> None:
        async with asyncio.timeout(PORT_WITHIN_SECONDS):
            while True:
                try:
                    await self.start(self._port)
                except OSError:
                    await asyncio.sleep(LOOK_EVERY_SECONDS)  # the one before may still hold it
                else:
                    return

    def _let_go(self, server: grpc.aio.Server) -> None:
        """Forget a server once its last stream has ended."""

        async def wait() -> None:
            try:
                await server.wait_for_termination()
            except Exception:
                log.debug("server.accept.left")  # what ended it has been told
            self._servers.remove(server)

        task = asyncio.create_task(wait())
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)
