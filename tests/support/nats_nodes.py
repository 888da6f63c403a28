"""A real nats-server for tests, with a disk of its own; `make tools` builds it."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from needs import need_tool
from processes import HTTP, free_port
from waiting import until_blocking


class Nats:
    """One node, with JetStream in a folder; it may be stopped, killed and started again at the same port."""

    def __init__(self, folder: Path, *flags: str) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.port, self._monitor = free_port(), free_port()
        self._flags = flags
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its address, without credentials."""
        return f"nats://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and wait until JetStream is there."""
        program = need_tool("nats-server")
        where = ["--addr", "127.0.0.1", "--port", str(self.port), "--http_port", str(self._monitor)]
        storage = ["--jetstream", "--store_dir", str(self._folder / "data")]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen([program, *where, *storage, *self._flags], stdout=log, stderr=log)
        until_blocking(
            lambda: HTTP.get(f"http://127.0.0.1:{self._monitor}/healthz").is_success,
            within_seconds=20,
            retry_on=httpx.HTTPError,
            what="nats-server is healthy",
        )

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@contextmanager
def running_nats(folder: Path, *flags: str) -> Iterator[Nats]:
    """Yield a node that runs; at the end it does not any more. Skips without nats-server."""
    nats = Nats(folder, *flags)
    nats.start()
    try:
        yield nats
    finally:
        nats.kill()
