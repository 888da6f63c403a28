"""Nobody takes the log: the pipe is full, the disk is full, or the output is closed."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from lab.chaos.figures import figures, tracebacks
from lab.chaos.ports import free_port
from lab.chaos.scene import Scene, until
from lab.processes.services import Service
from lab.verdict import Claim, at_least, at_most

F_SETPIPE_SZ = 1031
LINES = 25_000
"""More than the 10,000 that may wait and as many that the thread may hold: then they are lost, and counted."""
EACH_UPDATE = ("--log-updates-per-second", "1000000000")
ENDS_WITHIN_SECONDS = 10.0

KINDS = {
    "pipe full": ["{python}"],
    "disk full": ["{python}"],
    "output closed": ["sh", "-c", 'exec "$0" "$@" >&-', "{python}"],
}


async def run(scene: Scene) -> list[Claim]:
    """Run both services so, one kind after the other: streams go on, and both drain on SIGTERM."""
    claims: list[Claim] = []
    for kind in KINDS:
        scene.say(kind)
        claims += await _play(scene, kind)
    return claims


async def _play(scene: Scene, kind: str) -> list[Claim]:
    folder = scene.folder / kind.replace(" ", "-")
    folder.mkdir(parents=True, exist_ok=True)
    grpc_port, server_port, client_port = free_port(), free_port(), free_port()
    target = f"127.0.0.1:{grpc_port}"
    at_server = ("--host", "127.0.0.1", "--grpc-port", str(grpc_port), "--metrics-port", str(server_port))
    at_client = ("--server-address", target, "--metrics-host", "127.0.0.1", "--metrics-port", str(client_port))
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(
            _run(kind, folder, "server", server_port, *at_server, "--update-interval-seconds", "0")
        )
        client = await stack.enter_async_context(_run(kind, folder, "client", client_port, *at_client, *EACH_UPDATE))

        async def processed() -> float:
            return (await figures(scene.http, client)).sum("stock_updates_received_total")

        # the log of the updates is what fills: a line each
        count, _ = await until(processed, lambda count: count > LINES, 120, f"updates with the {kind}")
        lost = (await figures(scene.http, client)).sum("stock_log_events_lost_total")
        codes = [await _ended(service) for service in (client, server)]
    return [
        at_least(f"{kind}: updates processed", count, LINES),
        at_least(f"{kind}: log events counted as lost", lost, 1),
        at_most(
            f"{kind}: services that did not drain within {ENDS_WITHIN_SECONDS:g} s, with 0", sum(map(bool, codes)), 0
        ),
        at_most(f"{kind}: tracebacks", tracebacks(*folder.glob("*.errors")), 0),
    ]


@asynccontextmanager
async def _run(kind: str, folder: Path, name: str, metrics_port: int, *arguments: str) -> Any:
    command = [part.format(python=sys.executable) for part in KINDS[kind]]
    module = ("-m", f"stock_{name}", "--log-format", "json")
    with _output(kind) as output, (folder / f"{name}.errors").open("w") as errors:
        process = await asyncio.create_subprocess_exec(
            *command, *module, *arguments, stdout=output, stderr=errors, stdin=asyncio.subprocess.DEVNULL
        )
        try:
            yield Service(name, process, f"http://127.0.0.1:{metrics_port}/metrics", None)
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


@contextmanager
def _output(kind: str) -> Iterator[int]:
    """Yield what the log goes to."""
    if kind != "pipe full":
        descriptor = os.open("/dev/full", os.O_WRONLY)
        try:
            yield descriptor
        finally:
            os.close(descriptor)
        return
    unread, descriptor = os.pipe()
    try:
        fcntl.fcntl(descriptor, F_SETPIPE_SZ, 4096)
        yield descriptor
    finally:
        os.close(unread)
        os.close(descriptor)


async def _ended(service: Service) -> int:
    """Return the exit status, once it has ended by SIGTERM; -1 where it does not."""
    service.process.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(ENDS_WITHIN_SECONDS):
            return await service.process.wait()
    except TimeoutError:
        return -1
