"""A server and readers of four kinds on two hosts of a network, and whether both ends mean the same streams."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from lab.chaos.figures import Figures
from lab.chaos.network import Host
from lab.chaos.scene import until
from lab.processes.services import Service, run_client, run_server

KINDS = {
    "fast": (),
    "slow": ("--processing", "0.5"),
    "stalled": ("--processing", "0@2,stopped"),
    "stopped": ("--processing", "stopped"),
}
"""How clients read: at once, too slowly, at first and then not, and never."""

WINDOW_BYTES = 65_535
PACE = ("--update-interval-seconds", "0.01", "--padding-bytes", "1000")

IDS = ("flowcontrol_server_stream_ids", "flowcontrol_client_stream_ids")


@dataclass(frozen=True)
class Readers:
    """A server and its clients, by name."""

    server_host: Host
    client_host: Host
    server: Service
    clients: dict[str, Service]
    folder: Path

    async def at_server(self) -> Figures:
        """Return what the server measures now. Raises OSError."""
        return Figures.of(await asyncio.to_thread(self.server_host.get, self.server.metrics_url))

    async def at_client(self, name: str) -> Figures:
        """Return what a client measures now. Raises OSError."""
        return Figures.of(await asyncio.to_thread(self.client_host.get, self.clients[name].metrics_url))

    async def connected(self) -> set[str]:
        """Return the clients of whose streams both ends mean the same one."""
        server = await self.at_server()
        found = set()
        for name in self.clients:
            at_server = server.sum(IDS[0], client=name)
            if at_server and at_server == (await self.at_client(name)).sum(IDS[1]):
                found.add(name)
        return found

    async def all_connected(self, within_seconds: float, for_seconds: float = 0.0) -> float:
        """Return the seconds until all clients have a stream, and keep it for some time. Raises TookTooLongError."""
        began_at = since = time.monotonic()

        async def stretch() -> float:
            nonlocal since
            found: set[str] = set()
            with suppress(OSError):
                found = await self.connected()
            if found != set(self.clients):
                since = time.monotonic()
                return -1.0
            return time.monotonic() - since

        what = f"all have had a stream for {for_seconds:g} s"
        await until(stretch, lambda seconds: seconds >= for_seconds, within_seconds + for_seconds, what)
        return since - began_at

    async def ceiling(self, name: str, within_seconds: float = 60) -> tuple[float, float]:
        """Return the bytes that a client which reads nothing is sent until it holds its stream back, and an update's.

        Raises TookTooLongError.
        """

        async def blocked() -> Figures:
            return await self.at_server()

        def is_full(now: Figures) -> bool:
            return now.sum("flowcontrol_server_write_blocked_now_seconds", client=name) > 1

        full, _ = await until(blocked, is_full, within_seconds, f"{name} holds its stream back")
        sent = full.sum("flowcontrol_server_open_streams_sent_bytes", client=name)
        return sent, sent / full.sum("flowcontrol_server_open_streams_sent_messages", client=name)

    def log(self, name: str) -> Path:
        """Return a client's log."""
        return self.folder / f"{name}.log"


@asynccontextmanager
async def reading(
    folder: Path,
    server_host: Host,
    client_host: Host,
    both_ends: tuple[str, ...] = (),
    kinds: Mapping[str, tuple[str, ...]] = KINDS,
    pace: tuple[str, ...] = PACE,
) -> AsyncIterator[Readers]:
    """Hold a server and a reader of each kind; `both_ends` are arguments that both take."""
    settings = ("--window-bytes", str(WINDOW_BYTES), "--no-log-updates", *both_ends)
    address, command = client_host.address, client_host.command
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(
            run_server(folder, *pace, *both_ends, host=server_host.address, within=server_host.command)
        )
        contexts = {
            name: run_client(folder, name, server, *settings, *how, host=address, within=command)
            for name, how in kinds.items()
        }
        started = await asyncio.gather(*(stack.enter_async_context(context) for context in contexts.values()))
        yield Readers(server_host, client_host, server, dict(zip(contexts, started, strict=True)), folder)
