"""The two services as processes of their own, on free ports of 127.0.0.1, and what they log and measure."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import IO, Any, TypeAlias

import httpx
from prometheus_client.parser import text_string_to_metric_families

from forked import Forked, clean_environment
from waiting import WITHIN_SECONDS, until_blocking

START_SECONDS = 20.0
STOP_SECONDS = 15.0

HTTP = httpx.Client(timeout=20, trust_env=False, limits=httpx.Limits(max_keepalive_connections=0))
"""Asks over a new connection each time; `httpx.get` would also load all certificate authorities each time, 25 ms."""

Process: TypeAlias = Forked | subprocess.Popen[bytes]

_PORTS = random.Random()  # not the module's own, which hypothesis sets to the same numbers in each test


def start(module: str, arguments: list[str], stdout: IO[bytes], errors: IO[bytes]) -> Process:
    """Start a service; by its command, where that has a say in how grpc is imported."""
    if hasattr(os, "pidfd_open") and not (module == "stock_server" and "--tls-certificate" in arguments):
        return Forked(module, arguments, stdout, errors, clean_environment())
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.Popen(command, stdout=stdout, stderr=errors, env=clean_environment())


class Service:
    """A running service. Its log is JSON lines; its metrics are asked for over HTTP."""

    def __init__(self, module: str, arguments: list[str], folder: Path, host: str = "127.0.0.1") -> None:
        self.module = module
        self.host = host
        folder.mkdir(parents=True, exist_ok=True)
        self._log = folder / "log.jsonl"
        self._errors = folder / "errors.txt"
        with self._log.open("wb") as log, self._errors.open("wb") as errors:
            self.process = start(module, arguments, log, errors)

    def events(self, name: str | None = None) -> list[dict[str, Any]]:
        """Return what it has logged so far, of one event only where `name` is given. It is behind what is counted."""
        # the last line may be half written
        lines = [line for line in self._log.read_text().splitlines(keepends=True) if line.endswith("\n")]
        events = [json.loads(line) for line in lines if name is None or name in line]
        return [event for event in events if name is None or event["event"] == name]

    def event(self, name: str, within_seconds: float = START_SECONDS) -> dict[str, Any]:
        """Return the first event of a name, once it is there."""

        def state() -> list[dict[str, Any]] | str:
            if self.process.poll() is not None and not self.events(name):
                raise AssertionError(f"{self.module} ended with {self.process.returncode}: {self.errors()}")
            return self.events(name)

        return dict(until_blocking(state, within_seconds=within_seconds, what=f"{name} of {self.module}")[0])

    def errors(self) -> str:
        """Return what it has written to standard error."""
        return self._errors.read_text()

    def tracebacks(self) -> list[str]:
        """Return the exceptions that it has logged so far, and what it has written to standard error."""
        return [str(event["exception"]) for event in self.events() if "exception" in event] + self.errors().splitlines()

    @cached_property
    def grpc_port(self) -> int:
        """The server's gRPC port."""
        return int(self.event("server.start.complete")["grpc_port"])

    @property
    def address(self) -> str:
        """Where the server listens for gRPC."""
        return f"{self.host}:{self.grpc_port}"

    @cached_property
    def metrics_port(self) -> int:
        """The port of its metrics."""
        start = f"{self.module.removeprefix('stock_')}.start.complete"
        return int(self.event(start)["metrics_port"])

    def page(self) -> str:
        """Return its metrics as Prometheus gets them."""
        return HTTP.get(f"http://{self.host}:{self.metrics_port}/metrics").raise_for_status().text

    def metrics(self, *names: str, **labels: str) -> tuple[float, ...]:
        """Return, of one scrape, the sum of the samples of each name that have these labels, 0 where there are none."""
        text = self.page()
        sums = dict.fromkeys(names, 0.0)
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name in sums and labels.items() <= sample.labels.items():
                    sums[sample.name] += sample.value
        return tuple(sums.values())

    def metric(self, name: str, **labels: str) -> float:
        """Return one of the metrics."""
        return self.metrics(name, **labels)[0]

    def metric_reaches(
        self, name: str, condition: Callable[[float], object], within_seconds: float = WITHIN_SECONDS, **labels: str
    ) -> float:
        """Return a metric once it meets a condition."""
        return until_blocking(
            lambda: self.metric(name, **labels),
            condition,
            within_seconds=within_seconds,
            what=f"{name} of {self.module}",
        )

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def wait(self, within_seconds: float = STOP_SECONDS) -> int:
        """Return the exit status, once it has ended."""
        return self.process.wait(within_seconds)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and return the exit status."""
        self.send(number)
        return self.wait()


class Services:
    """Starts services, and ends those that still run when the test is over."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: list[Service] = []

    def server(self, *arguments: str, host: str = "127.0.0.1", grpc_port: int = 0, metrics_port: int = 0) -> Service:
        """Start a server; it may not be ready yet."""
        ports = ["--host", host, "--grpc-port", str(grpc_port), "--metrics-port", str(metrics_port)]
        return self._start("stock_server", [*ports, *arguments], host)

    def client(self, server_address: str, *arguments: str, name: str = "client") -> Service:
        """Start a client; it may not be ready yet."""
        own = ["--server-address", server_address, "--name", name, "--metrics-host", "127.0.0.1", "--metrics-port", "0"]
        return self._start("stock_client", [*own, "--backoff-initial-seconds", "0.1", *arguments])

    def _start(self, module: str, arguments: list[str], host: str = "127.0.0.1") -> Service:
        service = Service(module, arguments, self._folder / f"{len(self._running)}-{module}", host)
        self._running.append(service)
        return service

    def end(self) -> None:
        """Kill what still runs."""
        for service in self._running:
            if service.process.poll() is None:
                service.process.kill()
                service.process.wait(STOP_SECONDS)


@contextmanager
def running_services(folder: Path) -> Iterator[Services]:
    """Yield a starter of services; at the end, none runs any more."""
    services = Services(folder)
    try:
        yield services
    finally:
        services.end()


def free_port(*hosts: str) -> int:
    """Return a port that is free now on all hosts (by default 127.0.0.1), for a service that must keep it.

    It is none of those that the kernel gives out by itself, so that nobody gets it meanwhile.
    """
    while True:
        port = _PORTS.randrange(15_000, 32_000)
        try:
            for host in hosts or ("127.0.0.1",):
                with socket.socket() as tried:
                    tried.bind((host, port))
        except OSError:
            continue
        return port


def run_to_end(module: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a service that ends by itself, and return its exit status and what it wrote."""
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=START_SECONDS, env=clean_environment(**variables), check=False
    )


def ask_health(package: str, **settings: object) -> tuple[int, str]:
    """Return the exit status and the complaint of a health check with these settings in its environment."""
    variables = {f"{package}_{name}".upper(): str(value) for name, value in settings.items()}
    done = subprocess.run(
        [Path(sys.executable).with_name(f"{package.replace('_', '-')}-health")],
        env=clean_environment() | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr
