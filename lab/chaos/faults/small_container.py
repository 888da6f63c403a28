"""The server in a container of 128 MiB, with five hundred streams that stall."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import httpx

from flowcontrol import Window
from flowcontrol.identity import Identity
from lab.chaos.docker import container, docker, port
from lab.chaos.figures import Figures
from lab.chaos.scene import Scene, until
from lab.verdict import Claim, at_most, between

IMAGE = "backpressure-server"
MEMORY = "128m"
METHOD = "/stockservice.StockService/GetUpdates"
FULL_SPEED = ("--update-interval-seconds", "0", "--padding-bytes", "1000")


async def run(scene: Scene) -> list[Claim]:
    """Open the streams, each on a connection of its own, and let all of them stall."""
    streams, lasts = scene.many(500, 50), scene.long(30, 5)
    published = ("--publish", "127.0.0.1::4444", "--publish", "127.0.0.1::2112")
    limits = ("--memory", MEMORY, "--memory-swap", MEMORY)
    async with container(*limits, *published, IMAGE, *FULL_SPEED) as running:
        target, url = f"127.0.0.1:{await port(running, 4444)}", f"http://127.0.0.1:{await port(running, 2112)}"

        async def now() -> Figures:
            return Figures.of((await scene.http.get(f"{url}/metrics")).raise_for_status().text)

        async def ready() -> bool:
            return (await scene.http.get(f"{url}/ready")).is_success

        await until(ready, bool, 60, "the server is ready")
        window = Window()
        channels = [
            grpc.aio.insecure_channel(target, options=[*window.channel_options(), ("lab.number", number)])
            for number in range(streams)
        ]
        calls = [_call(channel, number, window) for number, channel in enumerate(channels)]
        blocked = "flowcontrol_server_write_blocked_now_seconds"
        try:
            await until(now, lambda seen: _stalled(seen, blocked) >= min(streams, 100), 120, "the streams stall")
            scene.say(f"{streams} streams are stalled")
            await asyncio.sleep(lasts)
            seen = await now()
            memory = seen.sum("process_resident_memory_bytes")
            still = seen.sum("stock_server_streams")
        except httpx.HTTPError:
            memory = still = float("nan")
        for call in calls:
            call.cancel()
        await asyncio.gather(*(channel.close() for channel in channels))
        state = await docker("inspect", "--format", "{{.State.Running}} {{.State.OOMKilled}}", running)
    return [
        at_most("killed for its memory, or ended", float(state != "true false"), 0),
        between("streams open", still, streams, streams),
        at_most("bytes of memory", memory, 128 * 2**20),
    ]


def _call(channel: grpc.aio.Channel, number: int, window: Window) -> Any:
    method: Any = channel.unary_stream(METHOD)
    return method(b"", metadata=Identity.for_new_stream(f"stalled-{number % 100}", window).metadata())


def _stalled(seen: Figures, blocked: str) -> int:
    return sum(name == blocked and value > 1 for name, _, value in seen.samples)
