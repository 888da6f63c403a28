"""A thousand clients come at once, and ten thousand streams are opened and cancelled, beside one that is served."""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import suppress
from itertools import pairwise
from typing import Any

import grpc

from flowcontrol.identity import CLIENT_NAME_KEY
from lab.chaos.figures import at, events, figures
from lab.chaos.held import Held
from lab.chaos.scene import Scene, until
from lab.processes.services import Service, run_client, run_server
from lab.verdict import Claim, at_most, between

METHOD = "/stockservice.StockService/GetUpdates"
POLICY_KEY = "stock-policy"
POLICIES = ("pause", "conflate", "drop-oldest", "disconnect")

EVERY_SECONDS = 0.5
PACE = ("--update-interval-seconds", str(EVERY_SECONDS))
SERVED_WITHIN_SECONDS = 30.0
LONGEST_GAP_SECONDS = EVERY_SECONDS + 2.0
"""Of the client that is there already, while all the others connect, on a machine that they share."""
MORE_MEMORY_BYTES = 5_000_000
"""What allocators keep of a thousand connections; not let go, they would take 50 MB."""

CHANNELS = 10
AT_ONCE = 50
SEED = 4


async def arrives(scene: Scene) -> list[Claim]:
    """Open so many streams at once, each on a connection of its own, and end them; and once more."""
    count = scene.many(1_000, 100)
    async with (
        run_server(scene.folder, *PACE) as server,
        run_client(scene.folder, "steady", server) as steady,
    ):
        target = f"127.0.0.1:{server.grpc_port}"
        await _reads(scene, steady)
        first, refused = await _arrive(target, count)
        await _only_one_left(scene, server)
        before = await Held.by(server, scene.http)
        scene.say(f"{count} were served after {first:.1f} s, and come again")
        second, refused_again = await _arrive(target, count)
        await _only_one_left(scene, server)
        after = await Held.by(server, scene.http)
        moments = [at(event) for event in events(scene.folder / "steady.log", "update.processed")]
    return [
        at_most(f"all {count} have had an update after", max(first, second), SERVED_WITHIN_SECONDS, "s"),
        at_most("of them refused", refused + refused_again, 0),
        at_most("longest gap of the client that was there", _longest_gap(moments), LONGEST_GAP_SECONDS, "s"),
        *after.as_before(before, MORE_MEMORY_BYTES),
    ]


async def cancels(scene: Scene) -> list[Claim]:
    """Open streams and cancel them, at once or later, under all policies."""
    count, before_count = scene.many(10_000, 1_000), scene.many(2_000, 500)
    async with run_server(scene.folder, *PACE) as server, run_client(scene.folder, "steady", server) as steady:
        target = f"127.0.0.1:{server.grpc_port}"
        await _reads(scene, steady)
        await _cancel(target, before_count)
        await _only_one_left(scene, server)
        before = await Held.by(server, scene.http)
        scene.say(f"{before_count} of {count}")
        await _cancel(target, count - before_count)
        await _only_one_left(scene, server)
        after = await Held.by(server, scene.http)
        moments = [at(event) for event in events(scene.folder / "steady.log", "update.processed")]
        opened = (await figures(scene.http, steady)).sum("flowcontrol_client_streams_opened_total")
    return [
        between("streams that the client beside them has opened", opened, 1, 1),
        at_most("its longest gap", _longest_gap(moments), LONGEST_GAP_SECONDS, "s"),
        *after.as_before(before, MORE_MEMORY_BYTES),
    ]


async def _reads(scene: Scene, steady: Service) -> None:
    async def received() -> float:
        return (await figures(scene.http, steady)).sum("stock_updates_received_total")

    await until(received, lambda updates: updates > 3, 60, "the steady client reads")


async def _only_one_left(scene: Scene, server: Service) -> None:
    async def streams() -> float:
        return (await figures(scene.http, server)).sum("stock_server_streams")

    await until(streams, lambda count: count == 1, 30, "only the steady client's stream is left")
    await asyncio.sleep(1)  # connections end a moment after their streams


def _longest_gap(moments: list[float]) -> float:
    return max(later - earlier for earlier, later in pairwise(moments))


async def _arrive(target: str, count: int) -> tuple[float, int]:
    """Return the seconds until all had their first update, and how many were refused."""
    # channels whose options are all the same would share a connection
    channels = [grpc.aio.insecure_channel(target, options=[("lab.number", number)]) for number in range(count)]
    began_at = time.monotonic()
    calls = [_call(channel, f"crowd-{number % 100}") for number, channel in enumerate(channels)]
    try:
        async with asyncio.timeout(2 * SERVED_WITHIN_SECONDS):
            first = await asyncio.gather(*(call.read() for call in calls), return_exceptions=True)
    except TimeoutError:
        return float("inf"), count
    finally:
        seconds = time.monotonic() - began_at
        for call in calls:
            call.cancel()
        await asyncio.gather(*(channel.close() for channel in channels))
    return seconds, sum(isinstance(update, BaseException) for update in first)


async def _cancel(target: str, count: int) -> None:
    """Open so many streams, some at once, and cancel each after a moment or none."""
    chance = random.Random(SEED)  # noqa: S311 - moments, no secrets
    channels = [grpc.aio.insecure_channel(target, options=[("lab.number", number)]) for number in range(CHANNELS)]
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> None:
        async with turns:
            call = _call(channels[number % CHANNELS], f"cancels-{number % 10}", chance.choice(POLICIES))
            with suppress(TimeoutError, grpc.aio.AioRpcError, asyncio.CancelledError):
                await asyncio.wait_for(call.initial_metadata(), chance.choice([0.0, 0.01, 1.0]))
            call.cancel()

    await asyncio.gather(*(one(number) for number in range(count)))
    await asyncio.gather(*(channel.close() for channel in channels))


def _call(channel: grpc.aio.Channel, name: str, policy: str = "pause") -> Any:
    method: Any = channel.unary_stream(METHOD)
    return method(b"", metadata=((CLIENT_NAME_KEY, name), (POLICY_KEY, policy)))
