"""Servers and clients in this process, which end with the test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import grpc
import pytest

from hand_market import Market
from switched_client import Client

WINDOW_BYTES = 16_384


class Opener:
    """Opens servers and clients; they end with the test."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack = stack
        self.batches = False
        """Whether the clients ask for batches."""

    async def market(self, **arguments: Any) -> Market:
        """Start a server; `arguments` are its settings, and those of `Market`."""
        market = Market(**arguments)
        await market.server.start()
        self._stack.push_async_callback(market.stop)
        return market

    def client(
        self, market: Market, policy: str | None = None, name: str = "client", window_bytes: int = WINDOW_BYTES
    ) -> Client:
        """Start a client."""
        client = Client(market.address, name, policy, window_bytes, self.batches)
        client.start()
        self._stack.push_async_callback(client.die)
        return client

    def channel(self, market: Market, window_bytes: int = WINDOW_BYTES) -> grpc.aio.Channel:
        """Return a bare channel."""
        options = [("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", window_bytes)]
        channel = grpc.aio.insecure_channel(market.address, options=options)
        self._stack.push_async_callback(channel.close)
        return channel


@pytest.fixture
async def opener() -> AsyncIterator[Opener]:
    """Open servers and clients in this process."""
    async with AsyncExitStack() as stack:
        yield Opener(stack)
