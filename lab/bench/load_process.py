"""Load processes as the benchmark holds them: started, told what to do line by line, ended."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from flowcontrol import Window
from lab.processes.services import Service, ServiceFailedError

ANSWER_SECONDS = 60.0
"""How long an order may take; a thousand streams are open in about three seconds."""


class LoadProcess:
    """A running `lab.bench.load`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def open(self, streams: int) -> None:
        """Open so many more streams that nothing is read from."""
        await self._tell(f"open {streams}")

    async def close(self) -> None:
        """End them all."""
        await self._tell("close")

    async def measure(self, seconds: float) -> dict[str, float]:
        """Return what a stream carries that is read as fast as it goes; see `Load.measure`."""
        return await self._tell(f"measure {seconds}")

    async def flood(self, streams: int, seconds: float) -> dict[str, float]:
        """Return the same, of a stream that is read while others are opened and filled."""
        return await self._tell(f"flood {streams} {seconds}")

    async def _tell(self, line: str) -> dict[str, float]:
        assert self._process.stdin is not None and self._process.stdout is not None  # noqa: S101, PT018 - for mypy
        self._process.stdin.write(f"{line}\n".encode())
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                answer = await self._process.stdout.readline()
        except TimeoutError:
            raise ServiceFailedError(f"the load process did not '{line}' in {ANSWER_SECONDS:g} s") from None
        if not answer:
            raise ServiceFailedError(f"the load process has ended while it was to '{line}'")
        parsed: dict[str, Any] = json.loads(answer)
        return parsed


@asynccontextmanager
async def run_load(server: Service, window: Window, policy: str, *, shared: bool = False) -> AsyncIterator[LoadProcess]:
    """Hold a load process; with `shared`, all its streams are on one channel."""
    arguments = ["--target", f"127.0.0.1:{server.grpc_port}", "--window-bytes", str(window), "--policy", policy]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "lab.bench.load", *arguments, *(["--shared"] if shared else []),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield LoadProcess(process)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
