from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from certificates import Authority, Pair
from processes import Service, running_services


@dataclass(frozen=True)
class Made:
    """An authority, a server's certificate and a client's."""

    authority: Authority
    server: Pair
    client: Pair

    @property
    def server_flags(self) -> tuple[str, ...]:
        """A server that lets in whom the authority has signed."""
        return (*self.server.flags(), "--tls-client-ca", str(self.authority.file))

    @property
    def client_flags(self) -> tuple[str, ...]:
        """A client that such a server lets in."""
        return (*self.client.flags(), "--tls-ca", str(self.authority.file))


def make(folder: Path) -> Made:
    """Make them, in files of a folder."""
    authority = Authority(folder)
    return Made(
        authority,
        authority.issue("server", "server", "server", "localhost", "127.0.0.1"),
        authority.issue("client", "somebody", "client"),
    )


@pytest.fixture
def made(tmp_path: Path) -> Made:
    """Make some that a test may change."""
    return make(tmp_path)


@dataclass(frozen=True)
class Mutual:
    """A server with mutual TLS."""

    made: Made
    server: Service


@pytest.fixture(scope="module")
def mutual(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mutual]:
    """Run one for all tests that change neither it nor its certificates."""
    folder = tmp_path_factory.mktemp("mutual")
    made = make(folder)
    with running_services(folder) as services:
        yield Mutual(made, services.server(*made.server_flags))
