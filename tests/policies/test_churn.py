"""Streams opened and cancelled at random, under all policies: nothing is left over. CHURN_SECONDS says for how long."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import random
import time
from collections import Counter
from typing import Any

import grpc
from prometheus_client import CollectorRegistry

from flowcontrol import FlowControlClientInterceptor, Ledger, LogReader, ReceiveBook, SendBook, Window
from stock_client.reading.stream import POLICY_KEY
from stock_server.streams.policy import Policy
from stockfeed.pace import Pace
from stockservice.stock_pb2 import EmptyRequest
from stockservice.stock_pb2_grpc import StockServiceStub

from waiting import until

CHURN_SECONDS = float(os.environ.get("CHURN_SECONDS", "5"))
STREAMS = 200
"""As many are open at any time, or about to be."""
CONNECTIONS = 10
SEED = 5
FORGET_AFTER_SECONDS = 0.2


class Churn:
    """Opens streams, treats them badly, and remembers nothing of them."""

    def __init__(self, stubs: list[StockServiceStub]) -> None:
        self._stubs = stubs
        self._random = random.Random(SEED)
        self._ends_at = time.monotonic() + CHURN_SECONDS
        self.opened = 0
        self.ends: set[grpc.StatusCode] = set()
        """How the server has ended streams."""

    async def run(self) -> None:
        """Keep one place of streams busy."""
        while time.monotonic() < self._ends_at:
            self.opened += 1
            metadata = ((POLICY_KEY, self._random.choice(list(Policy)).value),)
            call = self._random.choice(self._stubs).GetUpdates(EmptyRequest(), metadata=metadata)
            ways = [self._cancel_at_once, self._read_some, self._stall, self._stall_and_read_on]
            try:
                await self._random.choice(ways)(call)
            except grpc.aio.AioRpcError as error:
                self.ends.add(error.code())
            finally:
                call.cancel()
            await asyncio.sleep(self._random.uniform(0, 0.2))

    async def _cancel_at_once(self, call: Any) -> None:
        await asyncio.sleep(self._random.choice([0, 0.01]))

    async def _read_some(self, call: Any) -> None:
        for _ in range(self._random.randrange(20)):
            await call.read()

    async def _stall(self, call: Any) -> None:
        await asyncio.sleep(self._random.uniform(0, 2))

    async def _stall_and_read_on(self, call: Any) -> None:
        await self._stall(call)
        await self._read_some(call)
        await self._read_some(call)


def series_of_clients(registry: CollectorRegistry) -> list[Any]:
    return [s for family in registry.collect() for s in family.samples if "client" in s.labels]


def tasks() -> Counter[str]:
    """Count the tasks by what they run; those of grpc's server follow one another, so one by one they change."""
    return Counter(task.get_coro().__qualname__ for task in asyncio.all_tasks())


def books_and_readers() -> int:
    """Count those that live. grpc's calls with interceptors are cycles, whose generators end in the loop."""
    gc.collect()
    return sum(isinstance(thing, (LogReader, SendBook, ReceiveBook)) for thing in gc.get_objects())


async def test_streams_opened_and_cancelled_at_random_leave_nothing_behind(opener, caplog):
    caplog.set_level(logging.CRITICAL, "grpc")  # it logs writes cut short by cancellations; records keep their frames
    sent = Ledger(SendBook, forget_after_seconds=FORGET_AFTER_SECONDS)
    market = await opener.market(
        pace=Pace(0.1),
        ledger=sent,
        tickers="AAPL,MSFT",
        padding_bytes=8_000,
        buffer_updates=4,
        disconnect_after_seconds=0.2,
    )
    registry, window = CollectorRegistry(), Window(16_384)
    received = Ledger(ReceiveBook, forget_after_seconds=FORGET_AFTER_SECONDS)
    stubs, channels = [], []
    for number in range(CONNECTIONS):
        interceptor = FlowControlClientInterceptor(f"client-{number}", window, ledger=received)
        channels.append(
            grpc.aio.insecure_channel(
                market.address, options=window.channel_options(), interceptors=interceptor.interceptors
            )
        )
        stubs.append(StockServiceStub(channels[-1]))
    tasks_before = tasks()
    churn = Churn(stubs)
    await asyncio.gather(*(churn.run() for _ in range(STREAMS)))

    for ledger in (sent, received):
        await until(ledger.open_books, lambda books: books == [], what="no open stream")
    assert churn.opened > STREAMS
    assert churn.ends == {grpc.StatusCode.RESOURCE_EXHAUSTED}, "the slow ones under disconnect"
    assert market.service.streams == 0

    tally = sent.statement().methods["stockservice.StockService/GetUpdates"]
    assert tally["produced"] == tally["messages"] + tally["dropped"]
    assert tally["dropped"] > 0
    assert received.statement().methods["stockservice.StockService/GetUpdates"]["messages"] <= tally["messages"]

    for each in (market.registry, registry):
        await until(lambda each=each: series_of_clients(each), lambda series: series == [], what="no series")
    await until(received.statement, lambda statement: statement.accounts == {}, what="no account")
    for channel in channels:
        await channel.close()
    market.pace.stop()
    await until(lambda: tasks() - tasks_before, lambda left: not left, what="no task")
    await until(books_and_readers, lambda left: left == 0, every_seconds=0.2, what="no book, no reader")
