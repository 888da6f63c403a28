"""A server of the original's contract beside ours: one stream each, read by the byte, so that no reader is slower."""

from __future__ import annotations

import asyncio
import statistics
from contextlib import AsyncExitStack
from pathlib import Path

import grpc

from flowcontrol import wire_bytes
from lab.bench.programs.counter import new_counter
from lab.bench.speed.measure import Measure, ratio
from lab.bench.speed.pair import program
from lab.console import Say
from lab.processes.services import ServiceFailedError, run_server
from stockservice.stock_pb2 import EmptyRequest, StockUpdateBatch
from stockservice.stock_pb2_grpc import StockServiceStub

SAMPLE = 200
ANSWER_SECONDS = 10.0
SETTLE_SECONDS = 0.5
AIMS = {"pause": 1.0, "drop-oldest": 3.0}


async def measure_peer(peer: str, rounds: int, seconds: float, folder: Path, say: Say) -> list[Measure]:
    """Return how many times the peer's updates a second ours sends in batches, by policy. Raises ServiceFailedError."""
    peer_bytes = await _bytes_of_an_update(peer, "GetUpdates")
    rates: dict[str, list[float]] = {"peer": [], **{policy: [] for policy in AIMS}}
    async with AsyncExitStack() as stack:
        ours = {}
        for policy in AIMS:
            arguments = ("--update-interval-seconds", "0", "--policy", policy)
            server = await stack.enter_async_context(run_server(folder / f"peer-{policy}", *arguments))
            ours[policy] = f"127.0.0.1:{server.grpc_port}"
        our_bytes = {policy: await _bytes_of_an_update(address, "GetUpdateBatches") for policy, address in ours.items()}
        for number in range(rounds):
            say(f"beside {peer}: round {number + 1} of {rounds}")
            rates["peer"].append(await _rate(peer, "GetUpdates", seconds, folder) / peer_bytes)
            for policy, address in ours.items():
                rate = await _rate(address, "GetUpdateBatches", seconds, folder)
                rates[policy].append(rate / our_bytes[policy])
    return [
        ratio(
            "beside the peer",
            f"one stream, batches, {policy}: updates a second",
            rates[policy],
            rates["peer"],
            f"{statistics.median(rates[policy]):,.0f} updates/s, the peer {statistics.median(rates['peer']):,.0f}",
            at_least=aim,
        )
        for policy, aim in AIMS.items()
    ]


async def _rate(address: str, method: str, seconds: float, folder: Path) -> float:
    """Return bytes a second of one stream."""
    path = folder / "http2.count"
    counter = new_counter(path)
    async with program("http2_reader", "--target", address, "--method", method, "--counter", str(path)):
        loop = asyncio.get_running_loop()
        await _has_sent(address, counter, more_than=0)
        await asyncio.sleep(SETTLE_SECONDS)
        began_at, before = loop.time(), counter[0]
        await asyncio.sleep(seconds)
        await _has_sent(address, counter, more_than=before)
        return (counter[0] - before) / (loop.time() - began_at)


async def _has_sent(address: str, counter: memoryview, more_than: int) -> None:
    """Wait until so many bytes have come and one more. Raises ServiceFailedError: none comes."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + ANSWER_SECONDS
    while counter[0] <= more_than:
        if loop.time() > deadline:
            raise ServiceFailedError(f"{address} has sent nothing in {ANSWER_SECONDS:g} s")
        await asyncio.sleep(0.02)


async def _bytes_of_an_update(address: str, method: str) -> float:
    """Return what an update comes to on the wire, in the mean. Raises ServiceFailedError."""
    sizes, updates = 0, 0
    try:
        async with grpc.aio.insecure_channel(address) as channel:
            call = getattr(StockServiceStub(channel), method)(EmptyRequest(), timeout=ANSWER_SECONDS)
            while updates < SAMPLE:
                message = await call.read()
                sizes += wire_bytes(message.ByteSize())
                updates += len(message.updates) if isinstance(message, StockUpdateBatch) else 1
            call.cancel()
    except grpc.aio.AioRpcError as error:
        raise ServiceFailedError(f"{address}: {error.code().name}: {error.details()}") from None
    return sizes / updates
