"""The stock service: a loop that yields updates. What it costs and whom it waits for is measured around it."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable
from typing import TypeAlias

import grpc

from stock_server.pace import Pace
from stock_server.source import StockSource
from stockservice.stock_pb2 import EmptyRequest, StockUpdate
from stockservice.stock_pb2_grpc import StockServiceServicer

SOURCE_KEY = "stock-source"
"""Initial metadata: names the source, so that a client knows which sequence numbers go together."""

SERVICE_NAME = "stockservice.StockService"
GET_UPDATES = f"{SERVICE_NAME}/GetUpdates"

Context: TypeAlias = "grpc.aio.ServicerContext[EmptyRequest, StockUpdate]"


class StockService(StockServiceServicer):
    """Streams updates, each stream from a source of its own, which waits while flow control holds the stream back."""

    def __init__(self, pace: Pace, new_source: Callable[[], StockSource], max_streams: int) -> None:
        self._pace = pace
        self._new_source = new_source
        self._max_streams = max_streams
        self._streams = 0

    async def GetUpdates(self, request: EmptyRequest, context: Context) -> AsyncIterator[StockUpdate]:
        """Yield updates until the client cancels, or the server drains: then end with UNAVAILABLE."""
        if self._streams >= self._max_streams:
            await context.abort(
                grpc.StatusCode.RESOURCE_EXHAUSTED, f"the server has its {self._max_streams} streams open already"
            )
        self._streams += 1
        try:
            await context.send_initial_metadata(((SOURCE_KEY, uuid.uuid4().hex),))
            source = self._new_source()
            async for _ in self._pace.beats():
                yield source.next()
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the server is shutting down")
        finally:
            self._streams -= 1
