"""What handler, caller and other interceptors see is what they see without measuring: line by line, row by row."""

from __future__ import annotations

import asyncio
import gc
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any, TypeAlias

import grpc
import pytest

from flowcontrol import FlowControlClientInterceptor, FlowControlServerInterceptor, Window

from callers import Caller
from client_neighbours import PlainStreamStream, PlainStreamUnary, PlainUnaryStream
from mirror import SHAPES, Diary, Mirror
from neighbours import Chain, chains
from rows import GRPC_HANGS, Row, left_out, rows
from server_neighbours import PlainServer
from waiting import until

README = Path(__file__).parents[2] / "README.md"
WINDOW = Window(65_535)
CHAINS = tuple(chains(Mirror()))

Lines: TypeAlias = dict[str, list[str]]

ANY_INTERCEPTOR_CHANGES = ("time_remaining", "read after an error", "reading by both ways")
"""What a caller sees otherwise with any interceptor in his channel, one that does nothing included."""


GRPC_LOST = "Internal error from Core"
"""What a caller is told now and then where a server ends a call whose requests are still being sent, bare or not."""


@dataclass
class Session:
    """A server and a channel to it."""

    mirror: Mirror
    channel: grpc.aio.Channel

    async def run(self, row: Row) -> dict[str, list[str]]:
        """Make a row's call; return what all have seen, once nothing of it runs any more."""
        self.mirror.diary = Diary()
        await Caller(self.channel, self.mirror, row.shape, row.style, row.codec).call(row.way, row.steps, row.more)
        await until(lambda: self.mirror.running, lambda running: running == 0, every_seconds=0.001, what="ended")
        return dict(self.mirror.diary.lines)


@asynccontextmanager
async def session(chain_name: str, ours_at_server: list[Any], ours_at_client: list[Any]) -> AsyncIterator[Session]:
    """Start a server and open a channel, with a chain of neighbours around what is ours."""
    mirror = Mirror()
    chain: Chain = chains(mirror)[chain_name]
    server = grpc.aio.server(
        interceptors=[*chain.server_front, *ours_at_server, *chain.server_behind], options=WINDOW.server_options()
    )
    server.add_generic_rpc_handlers((mirror,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    channel = grpc.aio.insecure_channel(
        f"127.0.0.1:{port}",
        options=WINDOW.channel_options(),
        interceptors=[*chain.client_front, *ours_at_client, *chain.client_behind],
    )
    try:
        yield Session(mirror, channel)
    finally:
        if "cache" in chain_name:
            gc.collect()  # grpc cannot close a channel while there is a call that an interceptor has answered
        await asyncio.wait_for(channel.close(), 10)
        await asyncio.wait_for(server.stop(0), 10)


async def run_all(row: Row, *sessions: Session) -> list[Lines]:
    """Make a row's call in all sessions; again where grpc itself has lost a race that has nothing to do with ours."""
    for last in (False, False, False, True):
        try:
            lines = await asyncio.wait_for(asyncio.gather(*(each.run(row) for each in sessions)), 10)
        except TimeoutError as error:
            seen = [dict(each.mirror.diary.lines) for each in sessions]
            if last or row.does != GRPC_HANGS:
                raise AssertionError(f"{row}: does not end; bare, plain, measured have seen {seen}") from error
            continue
        if GRPC_LOST not in str(lines):
            break
    return lines


async def balance(server: FlowControlServerInterceptor, client: FlowControlClientInterceptor) -> None:
    """Wait until no book is open; then all balance."""
    for ledger in (server.ledger, client.uploads):
        await until(ledger.open_books, lambda books: books == [], every_seconds=0.001, what="no open book")
        assert ledger.faults.count == 0
        for tally in ledger.statement().methods.values():
            assert tally["produced"] == tally["messages"] + tally["dropped"]
    for other in (client.ledger, server.uploads):
        await until(other.open_books, lambda books: books == [], every_seconds=0.001, what="no open book")
        assert other.faults.count == 0


def more_received(server: FlowControlServerInterceptor, client: FlowControlClientInterceptor) -> list[str]:
    """Return the methods of which more has been received than sent, if both are measured."""
    found = []
    for sent, received in ((server.ledger, client.ledger), (client.uploads, server.uploads)):
        sent_tallies = sent.statement().methods
        for method, tally in received.statement().methods.items():
            if method in sent_tallies and tally["messages"] > sent_tallies[method]["messages"]:
                found.append(f"{method}: {tally} received, and sent {sent_tallies[method]}")
    return found


def differences(bare: Lines, plain: Lines, measured: Lines) -> list[str]:
    """Return the lines that differ from those of the bare call, but for what any interceptor changes."""
    found = []
    for who in sorted({*bare, *measured}):
        lines = (bare.get(who, []), plain.get(who, []), measured.get(who, []))
        for expected, of_any, seen in zip_longest(*lines, fillvalue="nothing"):
            about = expected.partition(":")[0]
            if seen != expected and not (about in ANY_INTERCEPTOR_CHANGES and seen == of_any):
                found.append(f"{who}: {seen}, not {expected}")
    return found


def test_the_readme_has_what_differs():
    of_any = re.findall(r"^- `([a-z_ ]+)`: .* any", README.read_text(), re.MULTILINE)
    assert tuple(of_any) == ANY_INTERCEPTOR_CHANGES


# grpc's own call cannot be cancelled where an interceptor has answered it; a tracing neighbour drops coroutines
@pytest.mark.filterwarnings("ignore:Exception ignored in. <function InterceptedCall.__del__")
@pytest.mark.filterwarnings("ignore:coroutine 'Mirror.written' was never awaited:RuntimeWarning")
@pytest.mark.timeout(300)  # seconds as a rule, but many calls
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("chain", CHAINS)
async def test_nobody_sees_a_difference(chain, shape, caplog):
    caplog.set_level(logging.CRITICAL, "grpc")  # it logs the handlers' exceptions
    if "cache" in chain:
        caplog.set_level(logging.CRITICAL, "asyncio")  # it logs grpc's, with the call
    server_side = FlowControlServerInterceptor()
    client_side = FlowControlClientInterceptor("tester", WINDOW)
    found = []
    async with (
        session(chain, [], []) as bare,
        session(chain, [PlainServer()], [PlainUnaryStream(), PlainStreamStream(), PlainStreamUnary()]) as plain,
        session(chain, [server_side], client_side.interceptors) as measured,
    ):
        for row in rows(shape):
            if left_out(chain, row):
                continue
            lines = await run_all(row, bare, plain, measured)
            await balance(server_side, client_side)
            if "in front" not in chain or "cache" not in chain:  # such a one sends what ours cannot see
                found += [f"{row}: {more}" for more in more_received(server_side, client_side)]
            found += [f"{row}: {difference}" for difference in differences(*lines)]
    await asyncio.wait_for(server_side.handlers_ended(), 5)
    assert not found, "\n".join(found)
