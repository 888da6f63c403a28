"""Ending a stream from outside of its handler, over real connections: in a blocked write, and while it waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from flowcontrol import (
    DisconnectReader,
    FlowControlServerInterceptor,
    Ledger,
    MessageLog,
    SendBook,
    current_stream,
)

from cut_service import CODE, FULL, MESSAGE, TRAILERS, WINDOW, cut_session
from waiting import until


async def read_to_its_end(call: Any) -> tuple[int, grpc.aio.AioRpcError]:
    """Return how many messages come before the error, and the error."""
    messages = 0
    try:
        while await asyncio.wait_for(call.read(), 5) == MESSAGE:
            messages += 1
    except grpc.aio.AioRpcError as error:
        return messages, error
    raise AssertionError("the stream has ended without an error")


def assert_is_the_cut(error: grpc.aio.AioRpcError) -> None:
    assert (error.code(), error.details()) == (CODE, "too slow")
    trailers = dict(error.trailing_metadata() or ())
    assert (trailers["why"], trailers["why-bin"]) == ("slow", b"\x00\xff")


@pytest.mark.parametrize("method", ["generated", "written"])
async def test_a_cut_in_a_blocked_write_comes_behind_all_that_was_in_flight(method):
    async with cut_session() as session:
        call, book = await session.blocked(method)
        session.cut()
        await until(lambda: session.service.ended, lambda ended: ended == [method], what="the handler's end")
        messages, error = await read_to_its_end(call)
        assert_is_the_cut(error)
        assert messages == FULL + 1, "the message in the blocked write has been handed over, so it comes too"
        await session.no_stream_open()
        assert (book.produced, book.messages, book.wire_bytes) == (messages, messages, messages * 1_000)
        assert (book.dropped, book.waiting) == (0, 0)
        assert book.writing.lap_seconds(session.ledger.clock()) == 0


async def test_a_cut_while_the_handler_waits():
    async with cut_session() as session:
        call = session.call("wait")
        assert await call.read() == MESSAGE
        session.cut()
        messages, error = await read_to_its_end(call)
        assert_is_the_cut(error)
        assert messages == 0
        await session.no_stream_open()
        assert session.service.ended == ["wait"]
        assert session.ledger.statement().methods["cut.Cut/wait"]["messages"] == 1


async def test_a_cut_stream_stays_open_until_its_client_has_read_the_status():
    async with cut_session() as session:
        call, _ = await session.blocked("generated")
        session.cut()
        await until(lambda: session.service.ended)
        assert len(session.ledger.open_books()) == 1
        assert await call.read() == MESSAGE
        await read_to_its_end(call)
        await session.no_stream_open()


async def test_a_second_cut_changes_nothing():
    async with cut_session() as session:
        call, _ = await session.blocked("generated")
        session.cut()
        await until(lambda: session.service.ended)
        session.service.streams[-1].cut(grpc.StatusCode.INTERNAL, "again")
        _, error = await read_to_its_end(call)
        assert_is_the_cut(error)
        await session.no_stream_open()


async def test_two_cuts_at_once_are_one():
    async with cut_session() as session:
        call, _ = await session.blocked("generated")
        session.cut()
        session.cut()
        _, error = await read_to_its_end(call)
        assert_is_the_cut(error)
        await session.no_stream_open()


async def test_a_cut_of_a_stream_that_has_ended_does_nothing():
    async with cut_session() as session:
        call = session.call("wait")
        await call.read()
        call.cancel()
        await session.no_stream_open()
        session.cut()
        call = session.call("wait")
        assert await call.read() == MESSAGE, "the server goes on"


@pytest.mark.parametrize("method", ["generated", "written", "wait"])
@pytest.mark.parametrize("how", ["cancels", "is gone"])
@pytest.mark.parametrize("when", ["before", "with", "after"])
async def test_a_client_that_is_gone(method, how, when):
    """Before the cut, in the same moment, and between the cut and its status."""
    async with cut_session() as session:
        if method == "wait":
            call = session.call(method)
            await call.read()
        else:
            call, _ = await session.blocked(method)

        async def leave() -> None:
            if how == "cancels":
                call.cancel()
            else:
                await session.channel.close()

        if when == "before":
            await leave()
            session.cut()
        elif when == "with":
            session.cut()
            await leave()
        else:
            session.cut()
            await until(lambda: session.service.ended)
            await leave()
        await session.no_stream_open()
        await until(lambda: session.service.ended, lambda ended: ended == [method], what="the handler's end")
        tally = session.ledger.statement().methods[f"cut.Cut/{method}"]
        assert tally["produced"] == tally["messages"] + tally["dropped"]


async def test_a_cut_of_one_stream_leaves_others_alone():
    async with cut_session() as session:
        other = session.call("generated")
        await other.read()
        (kept,) = session.ledger.open_books()
        call = session.call("generated")
        await until(lambda: len(session.service.streams) == 2)
        session.cut()
        _, error = await read_to_its_end(call)
        assert_is_the_cut(error)
        await until(session.ledger.open_books, lambda books: books == [kept])
        for _ in range(3 * FULL):
            await other.read()


async def test_a_server_stops_with_a_cut_stream_that_nobody_reads():
    async with cut_session() as session:
        call, book = await session.blocked("generated")
        session.cut()
        await until(lambda: session.service.ended)
        await asyncio.wait_for(session.server.stop(0.1), 5)
        await asyncio.wait_for(session.interceptor.handlers_ended(), 5)
        assert session.ledger.open_books() == []
        assert book.produced == book.messages + book.dropped
        call.cancel()


async def test_an_overdue_reader_ends_its_stream_and_the_books_balance():
    """What waits then is dropped, also while nothing is appended; what the transport has comes to the client."""
    now = 0.0
    log: MessageLog[bytes] = MessageLog(clock=lambda: now)

    class Feed(grpc.GenericRpcHandler):
        def service(self, details: grpc.HandlerCallDetails) -> Any:
            return grpc.unary_stream_rpc_method_handler(self.live)

        async def live(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
            stream = current_stream()
            reader = DisconnectReader(
                log,
                stream.book,
                on_overdue=lambda seconds: stream.cut(CODE, f"behind for {seconds:g} s", TRAILERS),
                patience_seconds=0.1,
                most_messages=4,
            )
            async for message in reader:
                yield message

    ledger = Ledger(SendBook)
    server = grpc.aio.server(interceptors=[FlowControlServerInterceptor(ledger=ledger)])
    server.add_generic_rpc_handlers((Feed(),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=WINDOW.channel_options()) as channel:
        call = channel.unary_stream("/feed.Feed/live")(b"")
        (book,) = await until(lambda: [book for book in ledger.open_books() if book.buffer is not None])
        made = 0
        while book.waiting < 5:
            made += 1
            log.append("AAPL", made, MESSAGE)
            await asyncio.sleep(0.01)
        assert (book.messages, book.waiting) == (FULL, 5)
        now, reader = 6.0, book.buffer
        await until(lambda: reader.is_closed)
        messages, error = await read_to_its_end(call)
        assert (error.code(), error.details()) == (CODE, "behind for 6 s")
        await until(ledger.open_books, lambda books: books == [])
        assert messages == book.messages == FULL + 1
        assert (book.produced, book.dropped, book.waiting) == (made, 4, 0)
    await server.stop(0)
