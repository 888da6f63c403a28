"""A NATS for the tests of this folder, and markets on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from market_stream import FAST, Starter
from nats_nodes import Nats, running_nats
from processes import Service


@pytest.fixture(scope="module")
def nats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nats]:
    with running_nats(tmp_path_factory.mktemp("nats")) as node:
        yield node


@pytest.fixture
def stream(request: pytest.FixtureRequest) -> str:
    """A stream of the test's own."""
    return "S" + str(abs(hash(request.node.name)))[:20]


@pytest.fixture
def market(tmp_path: Path, stream: str) -> Iterator[Starter]:
    """Starts markets, and ends those that still run."""
    running: list[Service] = []

    def start(url: str, *arguments: str) -> Service:
        own = ["--feed", url, "--stream", stream, "--metrics-host", "127.0.0.1", "--metrics-port", "0"]
        service = Service("stock_market", [*own, *FAST, *arguments], tmp_path / f"market-{len(running)}")
        running.append(service)
        return service

    yield start
    for service in running:
        if service.process.poll() is None:
            service.process.kill()
            service.process.wait()
