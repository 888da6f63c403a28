"""The stock services as processes of their own on loopback."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

START_SECONDS = 30.0
"""How long a service may take to start; it takes about one second."""

STOP_SECONDS = 10.0
"""How long it may take to end on SIGTERM."""


class ServiceFailedError(Exception):
    """A service did not start, or has ended by itself."""


@dataclass(frozen=True)
class Service:
    """A running service."""

    name: str
    process: asyncio.subprocess.Process
    metrics_url: str
    grpc_port: int | None
    host: str = "127.0.0.1"

    def check(self) -> None:
        """Raise ServiceFailedError where the process has ended."""
        if self.process.returncode is not None:
            raise ServiceFailedError(f"{self.name} has ended by itself, with exit status {self.process.returncode}")


ONE_CLIENT = ("--max-streams-per-client", "2000")
"""Streams of a load all go by one name, and are as many as a server takes."""


def run_server(
    log_folder: Path,
    *arguments: str,
    host: str = "127.0.0.1",
    within: Sequence[str] = (),
    by: Sequence[str] = ("-m",),
    module: str = "stock_server",
) -> Any:
    """Return a context that holds a stock server, on free ports of `host`.

    `within` is a command that runs it there, `by` what Python is told to run it by.
    """
    ports = ("--host", host, "--grpc-port", "0", "--metrics-port", "0")
    command = (*within, sys.executable, *by, module)
    return _run("server", log_folder, host, command, *ports, *ONE_CLIENT, *arguments)


def run_client(
    log_folder: Path,
    name: str,
    server: Service,
    *arguments: str,
    host: str = "127.0.0.1",
    within: Sequence[str] = (),
    module: str = "stock_client",
) -> Any:
    """Return a context that holds a stock client of `server`, by the name given."""
    target = ("--server-address", f"{server.host}:{server.grpc_port}", "--name", name)
    metrics = ("--metrics-host", host, "--metrics-port", "0")
    command = (*within, sys.executable, "-m", module)
    return _run(name, log_folder, host, command, *target, *metrics, *arguments)


@asynccontextmanager
async def _run(
    name: str, log_folder: Path, host: str, command: Sequence[str], *arguments: str
) -> AsyncIterator[Service]:
    log_folder.mkdir(parents=True, exist_ok=True)
    log_path = log_folder / f"{name}.log"
    with log_path.open("w") as log:
        process = await asyncio.create_subprocess_exec(
            *command, "--log-format", "json", *arguments, stdout=log, stderr=log
        )
    try:
        started = await _started(name, process, log_path)
        url = f"http://{host}:{started['metrics_port']}/metrics"
        yield Service(name, process, url, started.get("grpc_port"), host)
    finally:
        await _end(process)


async def _started(name: str, process: asyncio.subprocess.Process, log_path: Path) -> dict[str, Any]:
    deadline = asyncio.get_running_loop().time() + START_SECONDS
    while asyncio.get_running_loop().time() < deadline and process.returncode is None:
        for line in log_path.read_text().splitlines():
            if ".start.complete" in line:
                event: dict[str, Any] = json.loads(line)
                return event
        await asyncio.sleep(0.05)
    lines = log_path.read_text().splitlines() or ["it has said nothing"]
    raise ServiceFailedError(f"{name} did not start: {lines[-1]}")


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
