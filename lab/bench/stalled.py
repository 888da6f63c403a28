"""Streams that nothing is read from, as the server sees them: until they are full, until they are gone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import httpx

from lab.processes.samples import scrape
from lab.processes.services import Service, ServiceFailedError

SETTLE_SECONDS = 60.0
SECONDS_BETWEEN_LOOKS = 0.25


async def until_stalled(server: Service, http: httpx.AsyncClient, streams: int) -> None:
    """Wait until all stalled streams are open and nothing more is sent to them. Raises ServiceFailedError."""
    sent = -1.0

    async def nothing_more() -> bool:
        nonlocal sent
        figures = await scrape(http, server.metrics_url, "stalled")
        before, sent = sent, figures.get("flowcontrol_server_open_streams_sent_messages", 0.0)
        return figures.get("flowcontrol_server_streams", 0.0) >= streams and 0 < sent == before

    await _until(nothing_more, server, f"{streams} stalled streams")


async def until_closed(server: Service, http: httpx.AsyncClient) -> None:
    """Wait until no stalled stream is left. Raises ServiceFailedError."""

    async def closed() -> bool:
        return (await scrape(http, server.metrics_url, "stalled")).get("flowcontrol_server_streams", 0.0) == 0

    await _until(closed, server, "the end of the stalled streams")


async def _until(condition: Callable[[], Awaitable[bool]], server: Service, what: str) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + SETTLE_SECONDS
    while not await condition():
        server.check()
        if loop.time() > deadline:
            raise ServiceFailedError(f"{what}: not within {SETTLE_SECONDS:g} s")
        await asyncio.sleep(SECONDS_BETWEEN_LOOKS)
