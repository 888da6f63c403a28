"""The network between two hosts loses everything for a while, or the server's host is replaced by another one."""

from __future__ import annotations

import asyncio
import time

from lab.chaos.figures import at, events
from lab.chaos.network import new_network
from lab.chaos.readers import WINDOW_BYTES, Readers, reading
from lab.chaos.scene import Scene, until
from lab.processes.services import run_server
from lab.verdict import Claim, at_most, between

OUTAGES_SECONDS = (1.0, 3.0, 10.0, 15.0, 60.0)
QUICK_OUTAGES_SECONDS = (1.0, 5.0)

KEEPALIVE_SECONDS, QUICK_KEEPALIVE_SECONDS = 10.0, 1.0
"""Of the time and of the timeout, at both ends: the defaults, or quickly."""

COMING_BACK_SECONDS = 6.0
"""The longest backoff, 4 s, and a connection that begins while nothing gets through, 1 s; and a busy machine."""


async def outages(scene: Scene) -> list[Claim]:
    """Pull the clients' cable for some time, and plug it in again."""
    keepalive = scene.long(KEEPALIVE_SECONDS, QUICK_KEEPALIVE_SECONDS)
    dead_within = 2 * keepalive
    claims: list[Claim] = []
    with new_network() as network:
        server_host, client_host = network.host(), network.host()
        async with reading(scene.folder, server_host, client_host, _pings(keepalive)) as readers:
            await readers.all_connected(60)
            await readers.ceiling("stopped")
            for outage in QUICK_OUTAGES_SECONDS if scene.quick else OUTAGES_SECONDS:
                scene.say(f"the network is down for {outage:g} s")
                began_at = time.time()
                network.pull(client_host)
                if outage > dead_within + 1:
                    claims += await _given_up(readers, outage, dead_within, began_at)
                await asyncio.sleep(max(0.0, began_at + outage - time.time()))
                network.plug(client_host)
                back = await readers.all_connected(2 * dead_within + COMING_BACK_SECONDS, keepalive + 1)
                limit = dead_within + COMING_BACK_SECONDS
                claims.append(at_most(f"{outage:g} s down: all four kinds stream again after", back, limit, "s"))
            sent, update = await readers.ceiling("stopped")
            low, high = WINDOW_BYTES - update + 1, WINDOW_BYTES
            claims.append(between("bytes sent to the client that reads nothing, after it all", sent, low, high))
    return claims


async def host_replaced(scene: Scene) -> list[Claim]:
    """Take the server's host away, and put another one with the same address into its place."""
    keepalive = scene.long(KEEPALIVE_SECONDS, QUICK_KEEPALIVE_SECONDS)
    with new_network() as network:
        server_host, client_host = network.host(), network.host()
        async with reading(scene.folder, server_host, client_host, _pings(keepalive)) as readers:
            await readers.all_connected(60)
            new_host = network.host(instead_of=server_host)
            arguments = ("--grpc-port", str(readers.server.grpc_port), *_pings(keepalive))
            async with run_server(
                scene.folder / "new", *arguments, host=new_host.address, within=new_host.command
            ) as server:
                now = Readers(new_host, client_host, server, readers.clients, scene.folder)
                back = await now.all_connected(4 * keepalive + COMING_BACK_SECONDS, keepalive + 1)
    limit = 2 * keepalive + COMING_BACK_SECONDS
    return [at_most("all four kinds stream from the new host after", back, limit, "s")]


async def _given_up(readers: Readers, outage: float, dead_within: float, began_at: float) -> list[Claim]:
    async def at_server() -> float:
        return (await readers.at_server()).sum("stock_server_streams")

    await until(at_server, lambda streams: streams == 0, outage, "the server has given all clients up")
    server_after = time.time() - began_at

    async def ends() -> list[float]:
        logged = {name: events(readers.log(name), "stream.end") for name in readers.clients}
        after = {name: [at(end) - began_at for end in found if at(end) > began_at] for name, found in logged.items()}
        return [seconds[0] for seconds in after.values() if seconds]

    clients_after, _ = await until(
        ends, lambda found: len(found) == len(readers.clients), outage, "all clients gave up"
    )
    return [
        at_most(f"{outage:g} s down: given up by the server after", server_after, dead_within + 1, "s"),
        at_most(f"{outage:g} s down: given up by all four clients after", max(clients_after), dead_within + 1, "s"),
    ]


def _pings(seconds: float) -> tuple[str, ...]:
    return ("--keepalive-time-seconds", str(seconds), "--keepalive-timeout-seconds", str(seconds))
