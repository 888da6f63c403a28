"""Clients that have stalled are killed, a hundred times: their server is as before."""

from __future__ import annotations

import asyncio
import signal
from contextlib import AsyncExitStack
from dataclasses import dataclass

import psutil

from lab.chaos.figures import figures
from lab.chaos.scene import Scene, until
from lab.processes.services import Service, run_client, run_server
from lab.verdict import Claim, at_most

AT_ONCE = 4
FLOOD = ("--update-interval-seconds", "0", "--padding-bytes", "1000", "--policy", "conflate")
MORE_MEMORY_BYTES = 2_000_000
"""What the allocators of a server that has done its work before may keep: a stream takes 50 KB, so 100 took 5 MB."""


@dataclass(frozen=True)
class Server:
    """What a server holds."""

    memory_bytes: int
    descriptors: int
    threads: int
    streams: float
    series: int

    @classmethod
    async def of(cls, scene: Scene, server: Service) -> Server:
        """Return what a server holds now."""
        now = await figures(scene.http, server)
        process = psutil.Process(server.process.pid)
        return cls(
            process.memory_info().rss,
            process.num_fds(),
            process.num_threads(),
            now.sum("stock_server_streams"),
            now.series(),
        )


async def run(scene: Scene) -> list[Claim]:
    """Kill clients whose windows are full, some at a time, and compare with what was after the first of them."""
    rounds = scene.many(25, 2)
    async with run_server(scene.folder, *FLOOD) as server:
        await _round(scene, server)
        before = await Server.of(scene, server)
        for number in range(rounds):
            await _round(scene, server)
            scene.say(f"killed {(number + 1) * AT_ONCE} of {rounds * AT_ONCE}")
        after = await Server.of(scene, server)
    return [
        at_most(f"memory more, after {rounds * AT_ONCE}", after.memory_bytes - before.memory_bytes, MORE_MEMORY_BYTES),
        at_most("streams left", after.streams, 0),
        at_most("descriptors more", after.descriptors - before.descriptors, 1),
        at_most("threads more", after.threads - before.threads, 2),
        at_most("series more", after.series - before.series, 0),
    ]


async def _round(scene: Scene, server: Service) -> None:
    async def blocked() -> float:
        now = await figures(scene.http, server)
        return sum(
            now.sum("flowcontrol_server_write_blocked_now_seconds", client=name) > 0
            for name in (f"stalled-{n}" for n in range(AT_ONCE))
        )

    async def streams() -> float:
        return (await figures(scene.http, server)).sum("stock_server_streams")

    async with AsyncExitStack() as stack:
        contexts = [
            run_client(scene.folder, f"stalled-{n}", server, "--processing", "stopped", "--window-bytes", "16384")
            for n in range(AT_ONCE)
        ]
        clients = await asyncio.gather(*(stack.enter_async_context(context) for context in contexts))
        await until(blocked, lambda count: count == AT_ONCE, 60, "all clients hold their streams back")
        for client in clients:
            client.process.send_signal(signal.SIGKILL)
            await client.process.wait()
    await until(streams, lambda count: count == 0, 30, "no stream is left")
