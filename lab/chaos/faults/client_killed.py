"""Clients that have stalled are killed, a hundred times: their server is as before."""

from __future__ import annotations

import asyncio
import signal
from contextlib import AsyncExitStack

from lab.chaos.figures import figures
from lab.chaos.held import Held
from lab.chaos.scene import FULL_SOON, Scene, until
from lab.processes.services import Service, run_client, run_server
from lab.verdict import Claim

AT_ONCE = 4
FLOOD = ("--update-interval-seconds", "0", "--padding-bytes", "1000", "--policy", "conflate")


async def run(scene: Scene) -> list[Claim]:
    """Kill clients whose windows are full, some at a time, and compare with what was after the first of them."""
    rounds = scene.many(25, 2)
    async with run_server(scene.folder, *FLOOD, *FULL_SOON) as server:
        await _round(scene, server)
        before = await Held.by(server, scene.http)
        for number in range(rounds):
            await _round(scene, server)
            scene.say(f"killed {(number + 1) * AT_ONCE} of {rounds * AT_ONCE}")
        after = await Held.by(server, scene.http)
    return after.as_before(before)


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
