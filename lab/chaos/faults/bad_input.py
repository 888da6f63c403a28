"""A hundred thousand bad inputs on all ports of both services, beside a client that is served."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import Iterable
from contextlib import AsyncExitStack, suppress
from pathlib import Path

from lab.certs.authority import Authority
from lab.chaos.figures import at, events, figures, tracebacks
from lab.chaos.held import Held
from lab.chaos.inputs import Inputs
from lab.chaos.scene import Scene, until
from lab.processes.services import run_client, run_server
from lab.verdict import Claim, at_least, at_most, between

SEED = 7
WORKERS = 12
ANSWER_SECONDS = 0.02
"""How long an input waits for an answer: most get none."""
SLOW_LORIS = 100
"""Connections that stay open meanwhile and say a byte a second."""

EVERY_SECONDS = 0.1
PACE = ("--update-interval-seconds", str(EVERY_SECONDS))
SPAN_SECONDS = 5.0
LEAST_SHARE = 0.9
MOST_MEMORY_RATIO = 1.2
MOST_LINES_SHARE = 0.05

REACHES_HANDLER_SHARE = 0.005
"""Of inputs: an eighth are calls, half of which name the method, a quarter of which go to the port that serves it."""

SERVED_WITHIN_SECONDS = 10.0


async def run(scene: Scene) -> list[Claim]:
    """Send inputs of all kinds to all ports; then look who is still there."""
    count = scene.many(100_000, 2_000)
    logs = scene.folder
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        plain = await enter(run_server(logs, *PACE))
        steady = await enter(run_client(logs, "steady", plain))
        secure = await enter(run_server(logs / "tls", *PACE, *_certificate(logs / "tls")))
        ports = [_port(plain.metrics_url), plain.grpc_port or 0, _port(steady.metrics_url), secure.grpc_port or 0]
        # what comes first makes what stays: threads, caches, parsers
        await _send(ports, Inputs(SEED - 1), scene.many(2_000, 500), scene)
        await asyncio.sleep(SPAN_SECONDS)
        before = [await Held.by(service, scene.http) for service in (plain, steady)]
        began_at = time.time()
        lines_before = _lines(logs)
        slow = asyncio.create_task(_slow_loris(ports))
        try:
            await _send(ports, Inputs(SEED), count, scene)
        finally:
            slow.cancel()
            with suppress(asyncio.CancelledError):
                await slow
        ended_at = time.time()
        lines = _lines(logs) - lines_before
        late = await enter(run_client(logs, "late", plain, "--no-log-updates"))

        async def received() -> float:
            return (await figures(scene.http, late)).sum("stock_updates_received_total")

        _, served = await until(received, bool, 30, "a new client is served")
        await asyncio.sleep(2)  # until connections that were cut have been let go
        after = [await Held.by(service, scene.http) for service in (plain, steady)]
        opened = (await figures(scene.http, steady)).sum("flowcontrol_client_streams_opened_total")
        begun = (await figures(scene.http, plain)).sum("flowcontrol_server_streams_opened_total")
        moments = [at(event) for event in events(logs / "steady.log", "update.processed")]
        gone = [service.name for service in (plain, steady, secure) if service.process.returncode is not None]
    share = _least_share([moment for moment in moments if began_at <= moment <= ended_at])
    ratios = [then.memory_bytes / now.memory_bytes for now, then in zip(before, after, strict=True)]
    descriptors = max(then.descriptors - now.descriptors for now, then in zip(before, after, strict=True))
    return [
        at_least(f"share of its updates, in any {SPAN_SECONDS:g} s, of the client that is served", share, LEAST_SHARE),
        between("streams that it has opened", opened, 1, 1),
        at_least("of the inputs, streams that the handler has seen", begun, count * REACHES_HANDLER_SHARE),
        at_most("services that have ended", len(gone), 0),
        at_most(f"a new client is served, after {count:,} inputs", served, SERVED_WITHIN_SECONDS, "s"),
        at_most("memory after, of before, at most", max(ratios), MOST_MEMORY_RATIO),
        at_most("descriptors more, at most", descriptors, 6),
        at_most("tracebacks", tracebacks(*logs.rglob("*.log")), 0),
        at_most("log lines for an input", lines / count, MOST_LINES_SHARE),
    ]


async def _send(ports: list[int], inputs: Inputs, count: int, scene: Scene) -> None:
    """Send inputs to the ports in turn, some at once."""
    sent = 0

    async def work() -> None:
        nonlocal sent
        while sent < count:
            sent += 1
            if sent % 1_000 == 0:
                scene.say(f"{sent:,} of {count:,} inputs")
            with suppress(OSError, TimeoutError):
                await _one(ports[sent % len(ports)], inputs.draw(), reset=sent % 3 == 0)

    await asyncio.gather(*(work() for _ in range(WORKERS)))


async def _one(port: int, data: bytes, *, reset: bool) -> None:
    """Send an input, wait a moment for an answer, and close or reset the connection."""
    async with asyncio.timeout(5):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(data)
            with suppress(TimeoutError):
                await asyncio.wait_for(reader.read(4096), ANSWER_SECONDS)
            if reset:
                own: socket.socket = writer.get_extra_info("socket")
                own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        finally:
            writer.close()


async def _slow_loris(ports: list[int]) -> None:
    """Keep connections open that say a byte a second, until cancelled."""
    writers: list[asyncio.StreamWriter] = []
    try:
        while True:
            writers = [writer for writer in writers if not writer.is_closing()]
            while len(writers) < SLOW_LORIS:
                with suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", ports[len(writers) % len(ports)])
                    writers.append(writer)
            for writer in writers:
                with suppress(OSError):
                    writer.write(b"G")
            await asyncio.sleep(1)
    finally:
        for writer in writers:
            writer.close()


def _certificate(folder: Path) -> tuple[str, ...]:
    folder.mkdir(parents=True, exist_ok=True)
    pair = Authority.new("chaos", days=2).issue("server", ["localhost"], days=1)
    certificate, key = folder / "tls.crt", folder / "tls.key"
    certificate.write_bytes(pair.certificate)
    key.write_bytes(pair.key)
    return ("--tls-certificate", str(certificate), "--tls-key", str(key))


def _least_share(moments: list[float]) -> float:
    """Return the least share of the updates due that came within any span."""
    due = SPAN_SECONDS / EVERY_SECONDS
    whole = range(int((moments[-1] - moments[0]) / SPAN_SECONDS))
    spans = ((moments[0] + number * SPAN_SECONDS, moments[0] + (number + 1) * SPAN_SECONDS) for number in whole)
    return min((sum(low <= moment < high for moment in moments) / due for low, high in spans), default=float("nan"))


def _lines(folder: Path) -> int:
    return sum(_count(log.read_text(errors="replace").splitlines()) for log in folder.rglob("*.log"))


def _count(lines: Iterable[str]) -> int:
    return sum("update.processed" not in line for line in lines)


def _port(url: str) -> int:
    return int(url.rpartition(":")[2].partition("/")[0])
