"""What handler, caller and other interceptors see is what they see without measuring: line by line, row by row."""

from __future__ import annotations

import asyncio
import gc
import logging
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any, TypeAlias

import grpc
import pytest

from flowcontrol import (
    FlowControlClientInterceptor,
    FlowControlServerInterceptor,
    Ledger,
    ReceiveBook,
    SendBook,
    Window,
)

from callers import Caller, Steps
from mirror import CODECS, SHAPES, Diary, Mirror
from neighbours import Chain, PlainServer, PlainStreamStream, PlainUnaryStream, chains
from waiting import until

README = Path(__file__).parents[1] / "README.md"
WINDOW = Window(65_535)
CHAINS = tuple(chains(Mirror()))

THREE = [["send", 0], ["send", 10], ["send", 1_000]]
LARGER_THAN_THE_WINDOW = 200_000


Lines: TypeAlias = dict[str, list[str]]

ANY_INTERCEPTOR_CHANGES = ("time_remaining", "read after an error", "reading by both ways")
"""What a caller sees otherwise with any interceptor in his channel, one that does nothing included."""


GRPC_LOST = "Internal error from Core"
"""What a caller is told now and then where a server ends a call whose requests are still being sent, bare or not."""
GRPC_HANGS = "give a write up and write again later"
"""What never ends now and then, bare or not: grpc may still have the write that was given up when the next begins."""


@dataclass(frozen=True)
class Row:
    """One call: to which method, what its handler does, and how it is made and read."""

    shape: str
    style: str
    way: str
    does: str
    steps: Steps
    codec: str = "note"

    def __str__(self) -> str:
        return f"{self.shape} {self.style} {self.codec}, which does {self.does}, called by '{self.way}'"


def response_rows(shape: str, style: str) -> Iterator[Row]:
    """Yield the rows of a method that streams responses."""

    def row(way: str, does: str, steps: Steps, codec: str = "note") -> Row:
        return Row(shape, style, way, does, steps, codec)

    for codec in CODECS:
        yield row("async for", "send three", THREE, codec)
        yield row("read", "send three", THREE, codec)
        yield row("async for", "send 4 MB", [["send", 4_000_000], ["send", 1]], codec)
    yield row("mixed", "send two and wait", [["send", 0], ["send", 10], ["wait"]])
    for way in ("break and go on", "metadata first", "refused", "cached"):
        yield row(way, "send three", THREE, "raw" if way == "cached" else "note")
    ends = {
        "nothing": [],
        "abort at once": [["abort"]],
        "abort": [["send", 5], ["abort"]],
        "set a status": [["send", 5], ["set"]],
        "raise": [["send", 5], ["raise"]],
        "send what is no message": [["send", 5], ["bad"], ["send", 5]],
        "look at its context": [["callback"], ["look"], ["initial"], ["send", 5], ["trailing"], ["look"]],
        "compress": [["compress"], ["send", 100_000], ["uncompressed"], ["send", 100_000]],
        "compress too late": [["send", 5], ["compress"]],
    }
    for does, steps in ends.items():
        for way in ("async for", "read", "read after error"):
            yield row(way, does, steps)
    for does in ("wait", "swallow"):
        for way in ("cancel after one", "cancelled from outside"):
            yield row(way, does, [["send", 5], [does]])
    yield row("deadline", "wait", [["wait"]])
    yield row("cancel unread", "flood", [["flood", LARGER_THAN_THE_WINDOW]])
    if style == "coroutine":
        timed: Steps = [["initial"], ["timed", LARGER_THAN_THE_WINDOW, 0.02]]
        yield row("late", "give a write up", timed)
        yield row("late and cancel", "give a write up and write again", [*timed, ["send", 5]])
        yield row("late", GRPC_HANGS, [*timed, ["until read"], ["send", 5]])
        yield row("late", "give a write up and abort", [*timed, ["abort"]])
    if shape == "stream_stream":
        for way in ("async for", "read", "writes", "writes and reads in turn", "list of requests"):
            yield row(way, "answer each request", [["echo", 5]])
        yield row("writes", "read its context", [["read"], ["send", 5]])


def rows(shape: str) -> Iterator[Row]:
    """Yield all rows of a shape."""
    if shape == "stream_unary":
        for way in ("async for", "writes", "list of requests"):
            for does, steps in {"answer": [["send", 5]], "abort": [["abort"]], "raise": [["raise"]]}.items():
                yield Row(shape, "coroutine", way, does, steps)
        yield Row(shape, "coroutine", "cancelled from outside", "wait", [["wait"]])
        return
    for style in ("generator", "coroutine"):
        yield from response_rows(shape, style)
    if shape == "unary_stream":
        for does, steps in {"send": THREE, "abort": [["abort"]], "set": [["set"]], "raise": [["raise"]]}.items():
            yield Row(shape, "synchronous", "async for", does, steps)


def costs_much(row: Row) -> bool:
    """Tell whether a row is one of those with a large message that differ in its kind alone."""
    return row.does == "send 4 MB" and row.codec != "note"


def left_out(chain: str, row: Row) -> bool:
    """Tell whether a row is not tried beside these neighbours, mostly as with them it fails or hangs anyway."""
    if row.way == "deadline":
        return chain not in ("nobody", "spies in front")  # half a second each, and the same as a cancellation
    if chain not in ("nobody", "spies in front") and (row.way == "read after error" or costs_much(row)):
        return True  # the same code runs as with those
    if row.shape == "stream_unary":
        # opentelemetry waits for the call's end before it hands the call to him who is to write into it
        return "opentelemetry" in chain and row.way in ("writes", "cancelled from outside")
    if row.style != "coroutine" or not chain.startswith(("opentelemetry", "sentry")):
        return False
    # both iterate all handlers, so that those which are coroutines fail at once; it must be with what is simple
    return row.way not in ("async for", "read", "refused") or row.does == "answer each request"


@dataclass
class Session:
    """A server and a channel to it."""

    mirror: Mirror
    channel: grpc.aio.Channel

    async def run(self, row: Row) -> dict[str, list[str]]:
        """Make a row's call; return what all have seen, once nothing of it runs any more."""
        self.mirror.diary = Diary()
        await Caller(self.channel, self.mirror, row.shape, row.style, row.codec).call(row.way, row.steps)
        await until(lambda: self.mirror.running, lambda running: running == 0, every_seconds=0.001, what="ended")
        return dict(self.mirror.diary.lines)


@asynccontextmanager
async def session(chain_name: str, ours_at_server: list[Any], ours_at_client: list[Any]) -> AsyncIterator[Session]:
    """Start a server and open a channel, with a chain of neighbours around what is ours."""
    mirror = Mirror()
    chain: Chain = chains(mirror)[chain_name]
    server = grpc.aio.server(interceptors=[*chain.server_front, *ours_at_server, *chain.server_behind])
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


async def balance(sent: Ledger[SendBook], received: Ledger[ReceiveBook]) -> None:
    """Wait until no book is open; then all balance."""
    for ledger in (sent, received):
        await until(ledger.open_books, lambda books: books == [], every_seconds=0.001, what="no open book")
        assert ledger.faults.count == 0
    for tally in sent.statement().methods.values():
        assert tally["produced"] == tally["messages"] + tally["dropped"]


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
        session(chain, [PlainServer()], [PlainUnaryStream(), PlainStreamStream()]) as plain,
        session(chain, [server_side], client_side.interceptors) as measured,
    ):
        for row in rows(shape):
            if left_out(chain, row):
                continue
            lines = await run_all(row, bare, plain, measured)
            await balance(server_side.ledger, client_side.ledger)
            found += [f"{row}: {difference}" for difference in differences(*lines)]
    await asyncio.wait_for(server_side.handlers_ended(), 5)
    assert not found, "\n".join(found)
