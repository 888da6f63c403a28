"""The live feed: one source per ticker for all streams, each update made once, and serialised once."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from flowcontrol import SharedMessage, StreamBuffer
from stock_server.pace import Pace
from stock_server.source import StockSource


class LiveFeed:
    """Puts every update into the buffers of all streams that are subscribed. It waits for none of them.

    It begins with its first subscriber and goes on until the pace stops, whoever listens: a market does not wait.
    """

    def __init__(self, sources: Sequence[StockSource], pace: Pace) -> None:
        self.source_id = uuid.uuid4().hex
        self._sources = sources
        self._pace = pace
        self._buffers: set[StreamBuffer[SharedMessage]] = set()
        self._task: asyncio.Task[None] | None = None

    @contextmanager
    def subscribed(self, buffer: StreamBuffer[SharedMessage]) -> Iterator[None]:
        """Feed a buffer while the context lasts."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())
        self._buffers.add(buffer)
        if self._task.done():
            buffer.close()  # the pace has stopped while the stream was still to begin
        try:
            yield
        finally:
            self._buffers.discard(buffer)
            buffer.close()

    async def _run(self) -> None:
        async for _ in self._pace.beats():
            for source in self._sources:
                message = SharedMessage(source.next())
                for buffer in tuple(self._buffers):
                    buffer.put(source.ticker, message)
            await asyncio.sleep(0)  # at an interval of 0 nothing else would get a turn
        for buffer in self._buffers:
            buffer.close()
