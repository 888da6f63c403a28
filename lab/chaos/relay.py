"""A relay between a client and a server that brings everything late."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

CHUNK_BYTES = 65_536


@asynccontextmanager
async def late(port: int, delay_seconds: float) -> AsyncIterator[int]:
    """Hold a relay to a port of 127.0.0.1 that brings each byte so much later, either way; yield its own port."""
    tasks: set[asyncio.Task[None]] = set()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - for mypy
        tasks.add(task)
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(_carry(reader, there_writer, delay_seconds))
                both.create_task(_carry(there_reader, writer, delay_seconds))
        except* (OSError, EOFError):
            pass
        finally:
            for each in (writer, there_writer):
                each.close()

    server = await asyncio.start_server(relay, "127.0.0.1", 0)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks, return_exceptions=True)


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay_seconds: float) -> None:
    """Carry bytes one way: however many are on their way, each comes as late as the first."""
    loop = asyncio.get_running_loop()
    on_the_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def deliver() -> None:
        while True:
            due, chunk = await on_the_way.get()
            await asyncio.sleep(due - loop.time())
            writer.write(chunk)
            await writer.drain()

    delivering = asyncio.create_task(deliver())
    try:
        while chunk := await reader.read(CHUNK_BYTES):
            on_the_way.put_nowait((loop.time() + delay_seconds, chunk))
        raise EOFError  # the other way ends as well
    finally:
        delivering.cancel()
