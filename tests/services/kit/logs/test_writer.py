"""The log holds up nothing and ends nothing, whatever becomes of where it goes; and all that is said is in it."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from servicekit.logs.writer import EVENTS_LOST, LogWriter
from stockservice.stock_pb2 import EmptyRequest
from stockservice.stock_pb2_grpc import StockServiceStub

from processes import HTTP, Service, Services, clean_environment, free_port
from waiting import until_blocking

LOST = "stock_log_events_lost_total"


class Deaf:
    """A service whose log goes where the test says; so its ports are chosen beforehand."""

    def __init__(self, module: str, arguments: list[str], stdout: Any, *shell: str) -> None:
        self.grpc_port, self.metrics_port = free_port(), free_port()
        command = [*shell, sys.executable, "-m", module, "--metrics-port", str(self.metrics_port), *arguments]
        if module == "stock_server":
            command += ["--host", "127.0.0.1", "--grpc-port", str(self.grpc_port)]
        self.process = subprocess.Popen(command, stdout=stdout, stderr=subprocess.PIPE, env=clean_environment())

    def metric(self, name: str) -> float:
        text = HTTP.get(f"http://127.0.0.1:{self.metrics_port}/metrics", params={"name[]": name}, timeout=10).text
        return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name))

    def metric_reaches(self, name: str, most: float) -> float:
        return until_blocking(
            lambda: self.metric(name),
            lambda value: value >= most,
            within_seconds=100,  # more events than 10,000 wait before one is lost, and a machine may be busy
            retry_on=httpx.TransportError,
            what=name,
        )

    def stop(self) -> tuple[int, bytes]:
        self.process.send_signal(signal.SIGTERM)
        _, errors = self.process.communicate(timeout=15)
        return self.process.returncode, errors


@contextmanager
def deaf(module: str, arguments: list[str], stdout: Any, *shell: str) -> Iterator[Deaf]:
    service = Deaf(module, arguments, stdout, *shell)
    try:
        yield service
    finally:
        if service.process.poll() is None:
            service.process.kill()
        service.process.communicate()


@contextmanager
def full_pipe() -> Iterator[tuple[int, int]]:
    """Yield both ends of a pipe that takes nothing more."""
    out, into = os.pipe()
    os.set_blocking(into, False)
    try:
        while True:
            os.write(into, b"x" * 4_095 + b"\n")
    except BlockingIOError:
        os.set_blocking(into, True)
    try:
        yield out, into
    finally:
        os.close(out)
        os.close(into)


@pytest.fixture(scope="module")
def fast_server(tmp_path_factory) -> Iterator[Service]:
    services = Services(tmp_path_factory.mktemp("fast"))
    try:
        yield services.server("--update-interval-seconds", "0")
    finally:
        services.end()


def serves_and_drains(server: Deaf) -> None:
    server.metric_reaches("stock_server_stream_limit", 1)
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        call = StockServiceStub(channel).GetUpdates(EmptyRequest(), wait_for_ready=True, timeout=30)
        assert [next(call).sequence for _ in range(10)] == list(range(1, 11))
        health = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=5)
        assert health.status == health_pb2.HealthCheckResponse.SERVING
        server.process.send_signal(signal.SIGTERM)
        with pytest.raises(grpc.RpcError, match="the server is shutting down"):
            for _ in call:
                pass
    _, errors = server.process.communicate(timeout=15)
    assert (server.process.returncode, errors) == (0, b"")


def test_a_server_whose_log_nobody_reads_serves_and_drains():
    with full_pipe() as (_, into), deaf("stock_server", ["--update-interval-seconds", "0.01"], into) as server:
        serves_and_drains(server)


@pytest.mark.parametrize("place", ["full", "closed", "broken"])
def test_a_server_whose_log_cannot_be_written_serves_and_drains(place: str):
    with unwritable(place) as (stdout, shell), deaf("stock_server", [], stdout, *shell) as server:
        assert server.metric_reaches(LOST, 1) >= 1
        serves_and_drains(server)


@contextmanager
def unwritable(place: str) -> Iterator[tuple[Any, tuple[str, ...]]]:
    """Yield a standard output, and what starts a command with it, that takes nothing: a full disk, none at all, ..."""
    if place == "full":
        with Path("/dev/full").open("wb") as disk:
            yield disk, ()
    elif place == "closed":
        yield subprocess.DEVNULL, ("sh", "-c", 'exec "$@" >&-', "sh")
    else:
        out, into = os.pipe()
        os.close(out)
        try:
            yield into, ()
        finally:
            os.close(into)


@pytest.mark.parametrize("place", ["full", "closed", "broken"])
def test_a_client_whose_log_cannot_be_written_reads_on_and_counts_what_is_lost(fast_server: Service, place: str):
    arguments = ["--server-address", fast_server.address]
    with unwritable(place) as (stdout, shell), deaf("stock_client", arguments, stdout, *shell) as client:
        client.metric_reaches("stock_updates_received_total", 1_000)
        assert client.metric(LOST) >= 1_000
        assert client.stop() == (0, b"")


def test_a_client_whose_log_nobody_reads_reads_on_and_says_what_was_lost_once_somebody_does(fast_server: Service):
    arguments = ["--server-address", fast_server.address, "--log-updates-per-second", "1000000"]
    with full_pipe() as (out, into), deaf("stock_client", arguments, into) as client:
        client.metric_reaches(LOST, 100)
        received = client.metric("stock_updates_received_total")
        client.metric_reaches("stock_updates_received_total", received + 1_000)
        told = first_event("log.resume.complete", out)
        assert 100 <= told["lost"] <= client.metric(LOST)
        assert (told["level"], told["service"]) == ("warning", "client")


def test_a_client_whose_log_nobody_reads_ends_in_time(fast_server: Service):
    with full_pipe() as (_, into), deaf("stock_client", ["--server-address", fast_server.address], into) as client:
        client.metric_reaches("stock_updates_received_total", 100)
        assert client.stop() == (0, b"")


def first_event(name: str, descriptor: int) -> dict[str, Any]:
    with os.fdopen(os.dup(descriptor)) as lines:
        for line in lines:
            if line.startswith("{") and json.loads(line)["event"] == name:
                return json.loads(line)
    raise AssertionError(f"no {name}")


class Disk:
    """Takes so many bytes, then none until it is given room."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.text = ""

    def write(self, _descriptor: int, data: bytes) -> int:
        if not self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken = bytes(data[: self.room])
        self.room -= len(taken)
        self.text += taken.decode()
        return len(taken)


def test_a_line_that_a_full_disk_has_torn_ends_before_the_next_one_begins(monkeypatch):
    disk = Disk(room=len("first\nsec"))
    monkeypatch.setattr("servicekit.logs.writer.os.write", disk.write)
    told: list[int] = []
    writer = LogWriter(1, told.append)
    before = EVENTS_LOST._value.get()
    writer.write("first\n")
    until_blocking(lambda: disk.text, lambda text: text == "first\n")
    for line in ("second\n", "third\n"):
        writer.write(line)
    until_blocking(lambda: EVENTS_LOST._value.get() - before, lambda lost: lost == 2)
    disk.room = 1_000
    writer.write("fourth\n")
    until_blocking(lambda: told, bool)
    writer.close()
    assert disk.text == "first\nsec\nfourth\n"
    assert told == [2]


def test_what_waits_is_written_at_the_end_and_no_more_than_fits_waits():
    out, into = os.pipe()
    writer = LogWriter(into, lambda _: None, most_waiting=1_000)
    before = EVENTS_LOST._value.get()
    for number in range(1_000):
        writer.write(f"{number}\n")
    writer.close(10)
    os.close(into)
    with os.fdopen(out) as lines:
        written = lines.read().splitlines()
    assert len(written) + EVENTS_LOST._value.get() - before == 1_000
    assert written[:3] == ["0", "1", "2"]


FAULTS = """
import asyncio, gc, logging, sys, threading, warnings
from servicekit.logs.lines import configure_logging
from servicekit.settings import ServiceSettings

configure_logging(ServiceSettings(), service="test")
logging.getLogger("grpc._cython.cygrpc").error("of %s", "grpc")
logging.getLogger("httpx").info("not told")
warnings.warn("of Python")

async def fail(what):
    raise ZeroDivisionError(what)

async def main():
    task = asyncio.create_task(fail("in a task"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    del task
    gc.collect()
    asyncio.get_running_loop().call_soon(lambda: 1 / 0)
    await asyncio.sleep(0)

asyncio.run(main())
thread = threading.Thread(target=lambda: [][1])
thread.start()
thread.join()

class Odd:
    def __del__(self):
        raise ValueError("while it goes")

Odd()
raise RuntimeError("in the main thread")
"""


def test_what_libraries_say_and_what_nobody_catches_are_events_and_no_raw_tracebacks():
    ended = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True, check=False, timeout=30)
    assert (ended.returncode, ended.stderr) == (1, "")
    events = [json.loads(line) for line in ended.stdout.splitlines()]
    assert all(list(event)[:4] == ["event", "timestamp", "level", "service"] for event in events)
    library = [
        (event["logger"], event["level"], event["message"]) for event in events if event["event"] == "library.log"
    ]
    assert library[0] == ("grpc._cython.cygrpc", "error", "of grpc")
    assert library[1][:2] == ("py.warnings", "warning")
    assert [logger for logger, _, _ in library[2:]] == ["asyncio", "asyncio"]
    exceptions = [event.get("exception", "") for event in events]
    for what in ("ZeroDivisionError: in a task", "division by zero"):
        assert any(what in exception for exception in exceptions)
    faults = [event["reason"] for event in events if event["event"] == "process.fault"]
    assert faults == [
        "IndexError: list index out of range",
        "ValueError: while it goes",
        "RuntimeError: in the main thread",
    ]
