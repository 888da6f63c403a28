"""Either end is frozen (SIGSTOP): its kernel answers for it, so that only pings find out."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from lab.chaos.figures import at, events, figures, with_one_stream
from lab.chaos.readers import KINDS, PACE
from lab.chaos.scene import Scene, until
from lab.processes.services import Service, run_client, run_server
from lab.verdict import Claim, at_most

FROZEN_SECONDS, QUICK_FROZEN_SECONDS = 30.0, 4.0
KEEPALIVE_SECONDS, QUICK_KEEPALIVE_SECONDS = 10.0, 1.0
COMING_BACK_SECONDS = 6.0
WORKED_OFF_SECONDS = 0.5 * 2 * 65_535 / 1_100
"""What a bound of two windows takes the slow reader, at half a second an update."""
LATE_SECONDS = 1.0
"""That a busy machine may take more."""
LEAST_ATTEMPT_SECONDS = 1.0
"""An attempt at a connection lasts a second while nobody answers, and a backoff comes on top."""


async def server(scene: Scene) -> list[Claim]:
    """Freeze the server under clients of four kinds."""
    async with _scene(scene) as (frozen, clients):
        frozen_for = scene.long(FROZEN_SECONDS, QUICK_FROZEN_SECONDS)
        began_at = time.time()
        frozen.process.send_signal(signal.SIGSTOP)
        try:
            await asyncio.sleep(frozen_for)
        finally:
            frozen.process.send_signal(signal.SIGCONT)
        back = await _all_back(scene, frozen, clients)
        ends = [events(scene.folder / f"{client.name}.log", "stream.end") for client in clients]
        given_up = [min((at(end) for end in found), default=float("inf")) - began_at for found in ends]
        most_attempts = max(sum(at(end) < began_at + frozen_for for end in found) for found in ends)
    return [
        at_most("given up by all four kinds of clients after", max(given_up), _dead_within(scene) + LATE_SECONDS, "s"),
        at_most("attempts of a client meanwhile", most_attempts, frozen_for / LEAST_ATTEMPT_SECONDS),
        at_most("all stream again after", back, COMING_BACK_SECONDS, "s"),
    ]


async def clients(scene: Scene) -> list[Claim]:
    """Freeze all clients of a server."""
    async with _scene(scene) as (running, frozen):

        async def streams() -> float:
            return (await figures(scene.http, running)).sum("stock_server_streams")

        frozen_for = scene.long(FROZEN_SECONDS, QUICK_FROZEN_SECONDS)
        began_at = time.monotonic()
        for client in frozen:
            client.process.send_signal(signal.SIGSTOP)
        try:
            _, given_up = await until(streams, lambda count: count == 0, frozen_for, "the server has given them up")
            await asyncio.sleep(max(0.0, began_at + frozen_for - time.monotonic()))
        finally:
            for client in frozen:
                client.process.send_signal(signal.SIGCONT)
        back = await _all_back(scene, running, [client for client in frozen if client.name != "slow"])
        slow_back = await _all_back(scene, running, frozen)
        repeated = [(await figures(scene.http, each)).sum("stock_client_repeated_updates_total") for each in frozen]
    return [
        at_most("given up by the server after", given_up, _dead_within(scene) + LATE_SECONDS, "s"),
        at_most("all but the slow one stream again after", back, COMING_BACK_SECONDS, "s"),
        at_most(
            "the slow one, which first reads what had come", slow_back, WORKED_OFF_SECONDS + COMING_BACK_SECONDS, "s"
        ),
        at_most("updates repeated", sum(repeated), 0),
    ]


def _dead_within(scene: Scene) -> float:
    return 2 * scene.long(KEEPALIVE_SECONDS, QUICK_KEEPALIVE_SECONDS)


@asynccontextmanager
async def _scene(scene: Scene) -> AsyncIterator[tuple[Service, list[Service]]]:
    seconds = str(scene.long(KEEPALIVE_SECONDS, QUICK_KEEPALIVE_SECONDS))
    pings = ("--keepalive-time-seconds", seconds, "--keepalive-timeout-seconds", seconds)
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(run_server(scene.folder, *PACE, *pings))
        contexts = [
            run_client(scene.folder, name, server, "--no-log-updates", *pings, *how) for name, how in KINDS.items()
        ]
        clients = list(await asyncio.gather(*(stack.enter_async_context(context) for context in contexts)))
        await _all_back(scene, server, clients)
        yield server, clients


async def _all_back(scene: Scene, server: Service, clients: Sequence[Service]) -> float:
    async def connected() -> set[str]:
        return await with_one_stream(scene.http, server, clients)

    wanted = {client.name for client in clients}
    _, seconds = await until(connected, lambda found: found == wanted, 60, "all clients have a stream")
    return seconds
