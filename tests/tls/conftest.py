from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from certificates import Authority, Pair


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


@pytest.fixture
def made(tmp_path: Path) -> Made:
    authority = Authority(tmp_path)
    return Made(
        authority,
        authority.issue("server", "server", "server", "localhost", "127.0.0.1"),
        authority.issue("client", "somebody", "client"),
    )
