"""Ten minutes of streams that come, read, stall and go: memory and descriptors stay flat."""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import suppress
from typing import Any

import grpc

from flowcontrol import Window
from flowcontrol.identity import Identity
from lab.chaos.held import Held
from lab.chaos.scene import FULL_SOON, Scene
from lab.processes.services import run_client, run_server
from lab.verdict import Claim, at_least, at_most

METHOD = "/stockservice.StockService/GetUpdates"
POLICIES = ("pause", "conflate", "drop-oldest", "disconnect")
PACE = ("--update-interval-seconds", "0.05", "--padding-bytes", "1000", "--disconnect-after-seconds", "1")

PLACES = 40
CHANNELS = 8
SEED = 3
LOOK_EVERY_SECONDS = 5.0
SETTLES_SHARE = 0.3
"""Of the time, in which allocators come to what they need."""
MOST_BYTES_A_MINUTE = 50_000


async def run(scene: Scene) -> list[Claim]:
    """Keep so many places busy with streams, and watch what the server and a client beside them hold."""
    lasts = scene.long(600, 40)
    async with (
        run_server(scene.folder, *PACE, *FULL_SOON) as server,
        run_client(scene.folder, "steady", server) as steady,
    ):
        began_at = time.monotonic()
        churn = asyncio.create_task(_churn(f"127.0.0.1:{server.grpc_port}", began_at + lasts))
        looks: list[tuple[float, Held, Held]] = []
        while not churn.done():
            await asyncio.wait((churn,), timeout=scene.long(LOOK_EVERY_SECONDS, 1.0))
            now = time.monotonic() - began_at
            looks.append((now, await Held.by(server, scene.http), await Held.by(steady, scene.http)))
            scene.say(f"{now:.0f} of {lasts:.0f} s, the server at {looks[-1][1].memory_bytes / 1e6:.1f} MB")
        opened = await churn
    settled = [look for look in looks if look[0] >= SETTLES_SHARE * lasts]
    claims = [at_least("streams opened and ended", opened, lasts)]
    for number, service in ((1, "server"), (2, "client")):
        held: list[tuple[float, Any]] = [(look[0], look[number]) for look in settled]
        slope = _slope([(at, now.memory_bytes) for at, now in held]) * 60
        descriptors = [now.descriptors for _, now in held]
        half = len(descriptors) // 2
        claims.append(at_most(f"{service}: bytes of memory more, a minute", slope, _most(scene)))
        more = max(descriptors[half:]) - max(descriptors[:half])
        claims.append(at_most(f"{service}: most descriptors in the second half, more than in the first", more, 2))
    return claims


def _most(scene: Scene) -> float:
    """Return the growth allowed: what is still settling in half a minute says nothing of ten."""
    return scene.long(MOST_BYTES_A_MINUTE, 100 * MOST_BYTES_A_MINUTE)


def _slope(points: list[tuple[float, float]]) -> float:
    """Return the growth a second of the line of least squares through points."""
    mean_at = sum(at for at, _ in points) / len(points)
    mean = sum(size for _, size in points) / len(points)
    spread = sum((at - mean_at) ** 2 for at, _ in points)
    return sum((at - mean_at) * (size - mean) for at, size in points) / spread


async def _churn(target: str, ends_at: float) -> int:
    """Return how many streams there have been."""
    chance = random.Random(SEED)  # noqa: S311 - moments, no secrets
    window = Window(16_384)
    channels = [
        grpc.aio.insecure_channel(target, options=[*window.channel_options(), ("lab.number", number)])
        for number in range(CHANNELS)
    ]
    opened = 0

    async def place(number: int) -> None:
        nonlocal opened
        method: Any = channels[number % CHANNELS].unary_stream(METHOD)
        while time.monotonic() < ends_at:
            identity = Identity.for_new_stream(f"churn-{number}", window)
            call = method(b"", metadata=(*identity.metadata(), ("stock-policy", chance.choice(POLICIES))))
            opened += 1
            with suppress(grpc.aio.AioRpcError, asyncio.CancelledError):
                for _ in range(chance.choice([0, 1, 20])):
                    await call.read()
                await asyncio.sleep(chance.uniform(0, 3))
            call.cancel()

    await asyncio.gather(*(place(number) for number in range(PLACES)))
    await asyncio.gather(*(channel.close() for channel in channels))
    return opened
