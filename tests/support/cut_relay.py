"""A relay between a client and a server whose connections the test cuts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class CutRelay:
    """Carries bytes both ways until it is cut; new connections are taken all along."""

    def __init__(self, port: int) -> None:
        self._there = port
        self._writers: set[asyncio.StreamWriter] = set()
        self.address = ""

    def cut(self) -> None:
        """Reset all connections, with all that is in flight."""
        for writer in self._writers:
            writer.transport.abort()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._there)
        both = {writer, there_writer}
        self._writers |= both
        try:
            await asyncio.gather(_carry(reader, there_writer), _carry(there_reader, writer), return_exceptions=True)
        finally:
            self._writers -= both


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while chunk := await reader.read(65_536):
            writer.write(chunk)
            await writer.drain()
    finally:
        writer.transport.abort()


@asynccontextmanager
async def relay_to(port: int) -> AsyncIterator[CutRelay]:
    """Hold a relay to a port of 127.0.0.1."""
    relay = CutRelay(port)
    server = await asyncio.start_server(relay._relay, "127.0.0.1", 0)
    relay.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield relay
    finally:
        server.close()
        relay.cut()
