"""The server is killed, again and again, under clients that keep up."""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from lab.chaos.figures import at, events, figures
from lab.chaos.ports import free_port
from lab.chaos.scene import Scene, until
from lab.processes.services import Service, run_client, run_server
from lab.verdict import Claim, at_most, between

BACK_WITHIN_SECONDS = 5.0
LIVES_SECONDS = 2.0
"""How long a server lives at most, once all are back."""
SEED = 10
PACE = ("--update-interval-seconds", "0.02")


async def run(scene: Scene) -> list[Claim]:
    """Kill and start a server anew, so and so often; what has come must be whole, and all be back in time."""
    kills, clients = scene.many(20, 3), scene.many(10, 3)
    port, chance = free_port(), random.Random(SEED)  # noqa: S311 - times, no secrets
    back: list[float] = []
    async with AsyncExitStack() as stack:
        readers: list[Service] = []
        for life in range(kills + 1):
            folder = scene.folder / f"life-{life}"
            async with run_server(folder, "--grpc-port", str(port), *PACE) as server:
                if not readers:
                    readers = await _readers(stack, scene.folder, server, clients)
                ready_at = at(events(folder / "server.log", "server.start.complete")[0])
                await _all_read(scene, readers, life)
                logs = [scene.folder / f"{reader.name}.log" for reader in readers]
                if life:
                    back += [at(events(log, "stream.resume.complete")[-1]) - ready_at for log in logs]
                scene.say(f"killed {life} of {kills} times" + (f", back after {max(back):.2f} s" if back else ""))
                await asyncio.sleep(chance.uniform(0, LIVES_SECONDS))
                if life < kills:
                    server.process.send_signal(signal.SIGKILL)
                    await server.process.wait()
                else:
                    return await _claims(scene, readers, logs, back, kills * clients)
    raise AssertionError("there is a last life")


async def _readers(stack: AsyncExitStack, folder: Path, server: Service, count: int) -> list[Service]:
    contexts = [run_client(folder, f"reader-{n}", server, "--no-log-updates") for n in range(count)]
    return list(await asyncio.gather(*(stack.enter_async_context(context) for context in contexts)))


async def _all_read(scene: Scene, readers: Sequence[Service], life: int) -> None:
    async def behind() -> list[str]:
        state = [(reader.name, await figures(scene.http, reader)) for reader in readers]
        opened, read = "flowcontrol_client_streams_opened_total", "flowcontrol_client_open_streams_received_messages"
        return [name for name, now in state if now.sum(opened) <= life or now.sum(read) == 0]

    await until(behind, lambda names: not names, 60, "all clients read again", 0.2)


async def _claims(
    scene: Scene, readers: Sequence[Service], logs: Sequence[Path], back: Sequence[float], times: int
) -> list[Claim]:
    unaccounted = repeated = missed = 0.0
    for reader, log in zip(readers, logs, strict=True):
        now = await figures(scene.http, reader)
        resumes = events(log, "stream.resume.complete")
        # each stream is whole, from its first number on: so the last numbers add up to all that has come
        whole = sum(int(resume["last_sequence"]) for resume in resumes)
        here = now.sum("flowcontrol_client_open_streams_received_messages")
        unaccounted += abs(now.sum("flowcontrol_client_received_messages_total") - whole - here)
        repeated += now.sum("stock_client_repeated_updates_total")
        missed += now.sum("stock_client_missed_updates_total")
    return [
        between("times that a client came back", len(back), times, times),
        at_most("back after the server was ready, at most", max(back), BACK_WITHIN_SECONDS, "s"),
        at_most("updates repeated", repeated, 0),
        at_most("updates missed that were not in flight when it died", missed, 0),
        at_most("updates received that no stream accounts for", unaccounted, 0),
    ]
