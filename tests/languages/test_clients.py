"""Clients in Go and Node, with a fixed window: the ceiling holds to the message, and the server tells what it can."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from flowcontrol import SendBook, Window

from byte_service import GENERATED, Session, byte_session
from needs import TOP, tool
from waiting import until

MESSAGE_BYTES = 99
WIRE_BYTES = 104
DEFAULT_WINDOW = 65_535
"""Of both, where none is set."""


def command(language: str) -> list[str]:
    """Return how to call a language's client; skip the test where that is not there."""
    if language == "go":
        client = tool("go-client")
        return [client] if client else pytest.skip("needs a client in Go (make tools)")
    node, made = shutil.which("node"), TOP / ".tools" / "node-client"
    if node is None or not (made / "ready").exists():
        pytest.skip("needs a client in Node (install Node and npm, then make tools)")
    return [node, str(made / "client.mjs")]


@dataclass
class Stalled:
    """A client that has read as much as it was to, and a server that is blocked in the next write."""

    session: Session
    book: SendBook


@asynccontextmanager
async def stalled(language: str, window_bytes: int, read: int) -> AsyncIterator[Stalled]:
    """Start a server, and a client with this window (0: its own); wait until the server is held back."""
    argv = command(language)
    async with byte_session(MESSAGE_BYTES) as session:
        arguments = (f"127.0.0.1:{session.port}", GENERATED, str(window_bytes), str(read))
        client = await asyncio.create_subprocess_exec(*argv, *arguments, stdin=asyncio.subprocess.PIPE)
        try:

            def blocked() -> list[SendBook]:
                books, now = session.sent.open_books(), session.sent.clock()
                return [book for book in books if book.writing.lap_seconds(now) > 0.5]

            [book] = await until(blocked, what="a blocked write")
            yield Stalled(session, book)
        finally:
            client.stdin.close()
            assert await asyncio.wait_for(client.wait(), 30) == 0


@pytest.mark.parametrize("language", ["go", "node"])
@pytest.mark.parametrize(("window_bytes", "read"), [(65_535, 0), (131_072, 10), (1_048_576, 0)])
async def test_a_fixed_window_has_its_ceiling_and_is_known_to_the_server(language, window_bytes, read):
    async with stalled(language, window_bytes, read) as client:
        book = client.book
        assert book.messages - read <= Window(window_bytes).ceiling_messages(MESSAGE_BYTES) <= book.messages
        assert (book.client, book.identity.window) == (f"{language}-client", Window(window_bytes))
        of = {"method": GENERATED, "client": f"{language}-client"}
        registry = client.session.server_registry
        assert registry.get_sample_value("flowcontrol_server_declared_window_bytes", of) == window_bytes
        in_flight = registry.get_sample_value("flowcontrol_server_blocked_in_flight_messages", of)
        assert in_flight == window_bytes // WIRE_BYTES


@pytest.mark.parametrize("language", ["go", "node"])
async def test_a_window_that_is_not_declared_is_seen(language):
    async with stalled(language, 0, 0) as client:
        assert client.book.messages == DEFAULT_WINDOW // WIRE_BYTES
        assert client.book.identity.window is None
        seen = await until(lambda: client.book.seen_window_messages, within_seconds=30, what="a window that is seen")
        assert seen == DEFAULT_WINDOW // WIRE_BYTES
