"""What a synchronous handler, its caller and their neighbours see is what they see without measuring, line by line."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import grpc
import pytest

from flowcontrol import Window
from flowcontrol.sync import FlowControlClientInterceptor, FlowControlServerInterceptor

from mirror import CODECS, Diary
from rows import THREE, Row
from sync_mirror import CHAINS, SyncCaller, SyncMirror, client_chain, server_chain
from waiting import until_blocking

WINDOW = Window(65_535)
ENDS = {
    "nothing": [],
    "abort at once": [["abort"]],
    "abort": [["send", 5], ["abort"]],
    "set a status": [["send", 5], ["set"]],
    "raise": [["raise"]],
    "raise later": [["send", 5], ["raise"]],
    "cancel": [["send", 5], ["cancel"], ["wait"]],
    "send what is no message": [["send", 5], ["bad"], ["send", 5]],
    "send None": [["send", 5], ["none"], ["send", 5]],
    "look at its context": [["look"], ["initial"], ["send", 5], ["trailing"], ["look"]],
    "initial metadata too late": [["send", 5], ["initial"]],
    "compress": [["compress"], ["send", 100_000]],
}


def rows() -> Iterator[Row]:
    """Yield all rows."""
    for shape in ("unary_stream", "stream_stream"):
        for style in ("generator", "iterator"):
            for codec in CODECS:
                yield Row(shape, style, "all", "send three", THREE, codec)
            yield Row(shape, style, "all", "send 4 MB", [["send", 4_000_000], ["send", 1]], "raw")
            for way in ("next", "metadata first", "refused", "result"):
                yield Row(shape, style, way, "send three", THREE)
            for does, steps in ENDS.items():
                yield Row(shape, style, "all", does, steps)
            yield Row(shape, style, "cancel after one", "wait", [["send", 5], ["wait"]])
            yield Row(shape, style, "deadline", "wait", [["wait"]])
            yield Row(shape, style, "cancel unread", "flood", [["flood", 200_000]])
        yield Row(shape, "list", "all", "return no iterator", [])
    yield Row("stream_stream", "generator", "all", "answer each request", [["echo", 5]])


def left_out(chain: str, row: Row) -> bool:
    """Tell whether a row is not tried beside these neighbours: a call that opentelemetry makes a generator is nothing
    but that, and has not begun before it is read."""
    of_a_call = ("next", "metadata first", "result", "cancel unread")
    return "opentelemetry" in chain and row.shape == "unary_stream" and row.way in of_a_call


@dataclass
class Session:
    """A server and a channel to it."""

    mirror: SyncMirror
    channel: grpc.Channel

    def run(self, row: Row) -> dict[str, list[str]]:
        """Make a row's call; return what all have seen, once nothing of it runs any more."""
        self.mirror.diary = Diary()
        SyncCaller(self.channel, self.mirror, row.shape, row.style, row.codec).call(row.way, row.steps)
        until_blocking(lambda: self.mirror.running, lambda running: running == 0, every_seconds=0.001, what="ended")
        return dict(self.mirror.diary.lines)


@contextmanager
def session(chain: str, ours_at_server: list[Any], ours_at_client: list[Any]) -> Iterator[Session]:
    """Start a server and open a channel, with neighbours around what is ours."""
    mirror = SyncMirror()
    with ThreadPoolExecutor(4) as pool:
        server = grpc.server(pool, interceptors=server_chain(chain, mirror, ours_at_server))
        server.add_generic_rpc_handlers((mirror,))
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        with grpc.insecure_channel(f"127.0.0.1:{port}", options=WINDOW.channel_options()) as channel:
            yield Session(mirror, client_chain(chain, channel, ours_at_client))
        server.stop(0).wait()


def differences(bare: dict[str, list[str]], measured: dict[str, list[str]]) -> list[str]:
    """Return the lines that differ from those of the bare call."""
    return [
        f"{who}: {seen}, not {expected}"
        for who in sorted({*bare, *measured})
        for expected, seen in zip_longest(bare.get(who, []), measured.get(who, []), fillvalue="nothing")
        if seen != expected
    ]


@pytest.mark.parametrize("chain", CHAINS)
def test_nobody_sees_a_difference(chain, caplog):
    caplog.set_level(logging.CRITICAL, "grpc")  # it logs the handlers' exceptions
    server_side, client_side = FlowControlServerInterceptor(), FlowControlClientInterceptor("tester", WINDOW)
    found = []
    with ExitStack() as stack:
        bare = stack.enter_context(session(chain, [], []))
        measured = stack.enter_context(session(chain, [server_side], client_side.interceptors))
        for row in rows():
            if left_out(chain, row):
                continue
            lines = bare.run(row), measured.run(row)
            for ledger in (server_side.ledger, client_side.ledger):
                until_blocking(ledger.open_books, lambda books: books == [], every_seconds=0.001, what=str(row))
                assert ledger.faults.count == 0
            for tally in server_side.ledger.statement().methods.values():
                assert tally["produced"] == tally["messages"] + tally["dropped"], row
            found += [f"{row}: {difference}" for difference in differences(*lines)]
    assert not found, "\n".join(found)
