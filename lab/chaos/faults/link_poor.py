"""The network between two hosts loses some packets, is narrow, or long."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from lab.chaos.figures import figures
from lab.chaos.network import Host, new_network
from lab.chaos.readers import WINDOW_BYTES, reading
from lab.chaos.relay import late
from lab.chaos.scene import Scene, until
from lab.processes.services import Service, run_client, run_server
from lab.verdict import Claim, at_least, at_most, between

LOSS = 0.02
NARROW_BITS_PER_SECOND = 1_000_000
DELAY_SECONDS = 0.1

WHOLE_SPEED = ("--update-interval-seconds", "0", "--padding-bytes", "1000")
KINDS = {"fast": (), "stopped": ("--processing", "stopped")}
RECEIVED = "flowcontrol_client_received_bytes_total"


async def loss(scene: Scene) -> list[Claim]:
    """Lose one packet in fifty, either way."""

    def drop(host: Host) -> None:
        chance = ("-m", "statistic", "--mode", "random", "--probability", str(LOSS))
        host.run("iptables", "--append", "INPUT", *chance, "--jump", "DROP")

    claims, per_second = await _poor(scene, drop, WHOLE_SPEED)
    return [*claims, at_least("bytes a second to the fast client", per_second, WINDOW_BYTES)]


async def narrow(scene: Scene) -> list[Claim]:
    """Let no more than a megabit a second through, either way."""

    def shape(host: Host) -> None:
        bucket = ("rate", f"{NARROW_BITS_PER_SECOND}bit", "burst", "8kb", "latency", "200ms")
        host.run("tc", "qdisc", "add", "dev", "eth0", "root", "tbf", *bucket)

    claims, per_second = await _poor(scene, shape, WHOLE_SPEED)
    share = per_second * 8 / NARROW_BITS_PER_SECOND
    return [*claims, between("share of the line that carries updates of the fast client", share, 0.75, 1.0)]


async def long(scene: Scene) -> list[Claim]:
    """Bring everything a tenth of a second late, either way: a stream carries a window each round trip."""
    scene.say(f"a relay that takes {DELAY_SECONDS:g} s either way")
    async with run_server(scene.folder, *WHOLE_SPEED) as server, late(server.grpc_port or 0, DELAY_SECONDS) as port:
        window = ("--window-bytes", str(WINDOW_BYTES), "--no-log-updates")
        far = Service("relay", server.process, server.metrics_url, port)
        async with (
            run_client(scene.folder, "fast", far, *window) as fast,
            run_client(scene.folder, "stopped", far, *window, "--processing", "stopped"),
        ):

            async def received() -> float:
                return (await figures(scene.http, fast)).sum(RECEIVED)

            per_second = await _rate(scene, received)
            now = await figures(scene.http, server)
    sent, update = (
        now.sum(f"flowcontrol_server_open_streams_sent_{unit}", client="stopped") for unit in ("bytes", "messages")
    )
    predicted = WINDOW_BYTES / (2 * DELAY_SECONDS)
    return [
        between("bytes a second, of window ÷ round trip", per_second / predicted, 0.7, 1.2),
        _ceiling_claim(sent, sent / update),
    ]


async def _poor(scene: Scene, spoil: Callable[[Host], None], pace: tuple[str, ...]) -> tuple[list[Claim], float]:
    """Return what must hold however poor the network is, and the bytes a second that the fast client gets."""
    with new_network() as network:
        server_host, client_host = network.host(), network.host()
        for host in (server_host, client_host):
            spoil(host)
        async with reading(scene.folder, server_host, client_host, kinds=KINDS, pace=pace) as readers:
            await readers.all_connected(60)

            async def received() -> float:
                return (await readers.at_client("fast")).sum(RECEIVED)

            per_second = await _rate(scene, received)
            ceiling = await readers.ceiling("stopped")
            fast = await readers.at_client("fast")
            opened = (await readers.at_server()).sum("flowcontrol_server_streams_opened_total")
    wrong = fast.sum("stock_client_missed_updates_total") + fast.sum("stock_client_repeated_updates_total")
    claims = [
        at_most("streams opened by two clients", opened, 2),
        at_most("updates missed or repeated", wrong, 0),
        _ceiling_claim(*ceiling),
    ]
    return claims, per_second


async def _rate(scene: Scene, received: Callable[[], Awaitable[float]]) -> float:
    """Return the bytes a second that come in some time, once there are any."""
    await until(received, lambda size: size > 2 * WINDOW_BYTES, 60, "updates come")
    before, began_at = await received(), time.monotonic()
    await asyncio.sleep(scene.long(20, 5))
    return (await received() - before) / (time.monotonic() - began_at)


def _ceiling_claim(sent: float, update: float) -> Claim:
    return between("bytes sent to the client that reads nothing", sent, WINDOW_BYTES - update + 1, WINDOW_BYTES)
