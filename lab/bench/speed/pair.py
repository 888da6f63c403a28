"""A server and who reads it, which run only while they are measured: stopped meanwhile, they cost nothing."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from lab.bench.programs.counter import new_counter
from lab.processes.samples import scrape
from lab.processes.services import Service, ServiceFailedError, run_client, run_server

WARM_UP_SECONDS = 0.3
START_SECONDS = 30.0
PROGRAMS = "lab.bench.programs"


@dataclass(frozen=True)
class Spent:
    """What a pair has done in one measurement."""

    updates: float
    seconds: float
    server_seconds: float
    client_seconds: float

    @property
    def rate(self) -> float:
        """Updates a second."""
        return self.updates / self.seconds

    @property
    def server_us(self) -> float:
        """Processor time of the server for an update, in microseconds."""
        return self.server_seconds / self.updates * 1e6

    @property
    def client_us(self) -> float:
        """Processor time of the client for an update, in microseconds."""
        return self.client_seconds / self.updates * 1e6

    @property
    def both_us(self) -> float:
        """Processor time of both ends for an update, in microseconds."""
        return self.server_us + self.client_us


@dataclass(frozen=True)
class Pair:
    """Two processes, and how to learn how many updates have come."""

    server: int
    client: int
    count: Callable[[], Awaitable[float]]

    def stop(self) -> None:
        """Stop both."""
        for process in (self.client, self.server):
            os.kill(process, signal.SIGSTOP)

    def go_on(self) -> None:
        """Let both go on."""
        for process in (self.server, self.client):
            os.kill(process, signal.SIGCONT)

    async def started(self) -> None:
        """Wait for the first updates. Raises ServiceFailedError."""
        deadline = time.monotonic() + START_SECONDS
        while await self.count() < 2:
            if time.monotonic() > deadline:
                raise ServiceFailedError(f"no updates have come in {START_SECONDS:g} s")
            await asyncio.sleep(0.02)

    async def measure(self, seconds: float) -> Spent:
        """Let both go on for so long, after a warm-up, and stop them again."""
        self.go_on()
        try:
            await asyncio.sleep(WARM_UP_SECONDS)
            before, count = self._now(), await self.count()
            await asyncio.sleep(seconds)
            after, updates = self._now(), await self.count() - count
        finally:
            self.stop()
        if updates <= 0:
            raise ServiceFailedError("nothing has come while it was measured")
        return Spent(updates, *(b - a for a, b in zip(before, after, strict=True)))

    def _now(self) -> tuple[float, float, float]:
        return time.monotonic(), processor_seconds(self.server), processor_seconds(self.client)


def processor_seconds(process: int) -> float:
    """Return the processor time of a process, of all its threads, to the nanosecond (proc_pid_schedstat of Linux)."""
    total = 0
    for task in os.scandir(f"/proc/{process}/task"):
        try:
            total += int(Path(task.path, "schedstat").read_text().split()[0])
        except (FileNotFoundError, ProcessLookupError):  # a thread that has just ended
            continue
    return total / 1e9


@asynccontextmanager
async def program(name: str, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Hold one of the benchmark's own programs."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", f"{PROGRAMS}.{name}", *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGCONT)
            process.terminate()
        await process.wait()


@asynccontextmanager
async def bare_server(*arguments: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """Hold a bare server; yield it and its address."""
    async with program("bare_server", *arguments) as server:
        assert server.stdout is not None  # noqa: S101 - for mypy
        port = await asyncio.wait_for(server.stdout.readline(), START_SECONDS)
        yield server, f"127.0.0.1:{int(port)}"


@asynccontextmanager
async def bare_pair(folder: Path, *, threads: bool = False) -> AsyncIterator[Pair]:
    """Hold a bare server and a bare client."""
    api = ("--threads",) if threads else ()
    path = folder / f"bare-{threads}.count"
    counter = new_counter(path)
    async with (
        bare_server(*api) as (server, address),
        program("bare_client", "--target", address, "--counter", str(path), *api) as client,
    ):
        yield Pair(server.pid, client.pid, _reads(counter))


@asynccontextmanager
async def our_pair(folder: Path, http: httpx.AsyncClient, *client_arguments: str) -> AsyncIterator[Pair]:
    """Hold the stock server, flat out, and the stock client."""
    name = "-".join(("ours", *(argument.strip("-") for argument in client_arguments)))
    async with (
        run_server(folder / name, "--update-interval-seconds", "0") as server,
        run_client(folder / name, "client", server, *client_arguments) as client,
        going_on(server, client),
    ):

        async def processed() -> float:
            return (await scrape(http, client.metrics_url, "client")).get("stock_updates_received_total", 0.0)

        yield Pair(server.process.pid, client.process.pid, processed)


@asynccontextmanager
async def going_on(*services: Service) -> AsyncIterator[None]:
    """Let services go on at the end: what is stopped does not take a SIGTERM."""
    try:
        yield
    finally:
        for service in services:
            if service.process.returncode is None:
                service.process.send_signal(signal.SIGCONT)


@asynccontextmanager
async def reading(server: int, address: str, folder: Path, *arguments: str) -> AsyncIterator[Pair]:
    """Hold a reader of many streams, which counts messages."""
    path = folder / f"reader-{'-'.join(arguments).replace('/', '-')}-{server}.count"
    counter = new_counter(path)
    async with program("reader", "--target", address, "--counter", str(path), *arguments) as reader:
        yield Pair(server, reader.pid, _reads(counter))


def _reads(counter: memoryview) -> Callable[[], Awaitable[float]]:
    async def read() -> float:
        return float(counter[0])

    return read
