"""The status of a cut is the stream's, whatever its handler does about it, in every style and beside neighbours."""

from __future__ import annotations

import asyncio
import logging

import grpc
import pytest
from opentelemetry.instrumentation.grpc import aio_server_interceptor
from stubborn import CODE, LARGE, SMALL, session

from flowcontrol import current_stream

from mirror import CODECS, Mirror
from server_neighbours import ServerSpy
from waiting import until


@pytest.mark.parametrize("does", ["returns", "goes on", "fails", "waits", "itself"])
@pytest.mark.parametrize("style", ["generator", "coroutine"])
async def test_a_handler_that_waits(style, does, caplog):
    caplog.set_level(logging.CRITICAL, "grpc")  # it logs the handler's exception
    async with session() as opened:
        call = opened.call(style, does)
        assert await call.read() == SMALL
        if does != "itself":
            opened.handlers.streams[0].cut(CODE, "too slow")
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            assert await asyncio.wait_for(call.read(), 5) is None
        assert (ended.value.code(), ended.value.details()) == (CODE, "too slow")
        await until(lambda: opened.handlers.ended == 1 and not opened.ledger.open_books())
        (tally,) = opened.ledger.statement().methods.values()
        assert (tally["messages"], tally["produced"]) == (1, 1 + tally["dropped"])


@pytest.mark.parametrize("style", ["generator", "coroutine"])
async def test_a_handler_that_aborts_meanwhile_changes_nothing(style):
    async with session() as opened:
        call = opened.call(style, "aborts")
        await call.read()
        opened.handlers.streams[0].cut(CODE, "too slow")
        assert await call.code() is CODE


@pytest.mark.parametrize("does", ["returns", "raises", "fails"])
@pytest.mark.parametrize("style", ["blocked_generator", "blocked_coroutine"])
async def test_a_handler_in_its_first_write(style, does, caplog):
    """Whose initial metadata go with the message: grpc would fail to send them once more with the status."""
    caplog.set_level(logging.CRITICAL, "grpc")
    async with session() as opened:
        if (style, does) == ("blocked_generator", "fails"):
            caplog.set_level(logging.CRITICAL, "asyncio")  # nobody awaits a generator that is closed from outside
        call = opened.call(style, does)
        await until(lambda: opened.ledger.open_books() and opened.ledger.open_books()[0].in_write)
        opened.handlers.streams[0].cut(CODE, "too slow")
        await asyncio.sleep(0.05)
        assert await opened.ends_by_the_cut(call) == [len(LARGE)]


@pytest.mark.parametrize("neighbour", ["opentelemetry", "spy"])
@pytest.mark.parametrize("style", ["generator", "blocked_generator"])
async def test_beside_a_neighbour_in_front(style, neighbour):
    mirror = Mirror()
    mirror.codec = CODECS["raw"]
    front = aio_server_interceptor() if neighbour == "opentelemetry" else ServerSpy(mirror)
    async with session(front) as opened:
        call = opened.call(style, "returns")
        await until(lambda: opened.handlers.streams)
        if style == "blocked_generator":
            await until(lambda: opened.handlers.streams[0].book.in_write)
        opened.handlers.streams[0].cut(CODE, "too slow")
        await opened.ends_by_the_cut(call)
        if neighbour == "spy":
            assert mirror.diary.lines["server spy"][-1] == "raised: AbortError"


@pytest.mark.parametrize("style", ["generator", "coroutine"])
async def test_a_client_that_cancels_at_the_same_time_leaves_nothing(style):
    async with session() as opened:
        call = opened.call(style, "returns")
        await call.read()
        opened.handlers.streams[0].cut(CODE, "too slow")
        call.cancel()
        await until(lambda: opened.handlers.ended == 1 and not opened.ledger.open_books())


async def test_outside_of_a_measured_stream_there_is_none():
    with pytest.raises(LookupError, match="is there a FlowControlServerInterceptor"):
        current_stream()
