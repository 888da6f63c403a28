"""As many streams as the server takes may come in one burst, and one more is told that it is too many."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest

from stockservice.stock_pb2 import EmptyRequest
from stockservice.stock_pb2_grpc import StockServiceStub

from processes import Services

STREAMS = 2_000
CONNECTIONS = 4


@pytest.mark.timeout(120)
async def test_all_streams_of_a_burst_are_served_and_those_above_the_limit_are_told(services: Services) -> None:
    limits = ("--max-streams", str(STREAMS), "--max-streams-per-client", str(STREAMS))
    server = services.server(*limits, "--update-interval-seconds", "60")
    channels = [
        grpc.aio.insecure_channel(server.address, options=[("grpc.use_local_subchannel_pool", 1)])
        for _ in range(CONNECTIONS)
    ]
    stubs = [StockServiceStub(channel) for channel in channels]
    calls: list[Any] = [stubs[n % CONNECTIONS].GetUpdates(EmptyRequest()) for n in range(STREAMS)]
    updates = await asyncio.gather(*(call.read() for call in calls), return_exceptions=True)
    refused = [update for update in updates if isinstance(update, BaseException)]
    assert [error.code() for error in refused] == []  # type: ignore[attr-defined]

    with pytest.raises(grpc.aio.AioRpcError) as one_more:
        await stubs[0].GetUpdates(EmptyRequest()).read()
    assert one_more.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED

    for call in calls:
        call.cancel()
    await asyncio.gather(*(channel.close() for channel in channels))
