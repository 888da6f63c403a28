"""A server has no file descriptor left."""

from __future__ import annotations

import resource
import socket
from contextlib import ExitStack

import psutil

from lab.chaos.figures import events, figures
from lab.chaos.scene import Scene, until
from lab.processes.services import run_client, run_server
from lab.verdict import Claim, at_least, at_most, between

LEFT = 10
CONNECTIONS = 40
PACE = ("--update-interval-seconds", "0.02")
MORE_UPDATES = 50
RECEIVED = "stock_updates_received_total"


async def run(scene: Scene) -> list[Claim]:
    """Leave a server some descriptors, and take them all."""
    async with (
        run_server(scene.folder, *PACE) as server,
        run_client(scene.folder, "steady", server, "--no-log-updates") as steady,
    ):

        async def received() -> float:
            return (await figures(scene.http, steady)).sum(RECEIVED)

        async def told(name: str = "descriptors.exhausted") -> int:
            return len(events(scene.folder / "server.log", name))

        await until(received, lambda updates: updates > 0, 60, "the steady client reads")
        process = psutil.Process(server.process.pid)
        most = process.num_fds() + LEFT
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (most, most))
        with ExitStack() as stack:
            for _ in range(CONNECTIONS):
                stack.enter_context(socket.create_connection(("127.0.0.1", server.grpc_port or 0)))
            await until(told, bool, 30, "the server says that it has none left")
            before = await received()
            _, seconds = await until(received, lambda now: now > before + MORE_UPDATES, 30, "the stream goes on")
        await until(lambda: told("descriptors.recovered"), bool, 30, "the server says that it has some again")
        async with run_client(scene.folder, "late", server, "--no-log-updates") as late:

            async def late_received() -> float:
                return (await figures(scene.http, late)).sum(RECEIVED)

            _, served = await until(late_received, lambda updates: updates > 0, 30, "a new client is served")
        now = await figures(scene.http, server)
        opened = (await figures(scene.http, steady)).sum("flowcontrol_client_streams_opened_total")
        lines = await told()
    return [
        at_most(f"{MORE_UPDATES} updates of the open stream, without a descriptor", seconds, 3, "s"),
        between("streams that it has opened", opened, 1, 1),
        at_least("shortages counted", now.sum("stock_descriptor_shortages_total"), 1),
        at_most("lines that say so", lines, 3),
        at_most("a new client is served, after it", served, 10, "s"),
    ]
