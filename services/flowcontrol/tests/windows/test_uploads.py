"""Uploads over real connections: what a server that stops reading is sent is predicted, whichever way it is sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import grpc
import pytest
from blocked import LARGE_MESSAGES, MESSAGES, WINDOWS, sent_when_blocked

from flowcontrol import ConsumerEvent, FlowControlClientInterceptor, Ledger, SendBook, Thresholds, Window, wire_bytes
from flowcontrol.window import AUTOTUNED_ENDS_AT_BYTES

from byte_service import ECHO_GENERATED, UPLOADED, UPLOADED_BY_READ, Session, byte_session
from waiting import until

WAYS = ("async generator", "generator", "list", "async iterable", "write")
READS = (UPLOADED, UPLOADED_BY_READ)


class AsyncList:
    """Requests that can be iterated over and over."""

    def __init__(self, requests: list[bytes]) -> None:
        self._requests = requests

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for request in self._requests:
            yield request


def send(session: Session, method: str, count: int, size: int, way: str = "generator") -> Any:
    """Upload messages in one of the ways that a caller has."""

    def each() -> Iterator[bytes]:
        for _ in range(count):
            yield bytes(size)

    async def each_async() -> AsyncIterator[bytes]:
        for request in each():
            yield request

    async def write(call: Any) -> None:
        for request in each():
            await call.write(request)
        await call.done_writing()

    if way == "write":
        call = session.upload(method)
        call.writing = asyncio.ensure_future(write(call))
        return call
    made = {"async generator": each_async, "generator": each, "list": lambda: list(each())}
    return session.upload(method, made[way]() if way in made else AsyncList(list(each())))


async def meets_prediction(
    window_bytes: int, message_bytes: int, reads: int, method: str = UPLOADED, way: str = "generator"
) -> None:
    window, frame = Window(window_bytes), wire_bytes(message_bytes)
    async with byte_session(server_window=window) as session:
        call = send(session, method, reads + 2 * window_bytes // frame + 4, message_bytes, way)
        for _ in range(reads):
            session.service.allowed.release()
        await until(session.taken.open_books, lambda books: books and books[0].messages == reads)
        # grpc announces what was read once it makes up half of a window
        least_bytes = max(0, window_bytes // 2 - 2 * frame) if reads else window_bytes - frame + 1
        sent = await sent_when_blocked(session.uploaded, at_least=reads + -(-least_bytes // frame))
        in_flight_bytes = (sent - reads) * frame
        if reads == 0:
            assert sent == window.ceiling_messages(message_bytes) == window_bytes // frame
        assert in_flight_bytes <= window.bound_bytes(message_bytes)
        (book,) = session.uploaded.open_books()
        assert book.wire_bytes == sent * frame
        assert book.waiting == 1
        call.cancel()


@pytest.mark.parametrize("reads", [0, 10])
@pytest.mark.parametrize("message_bytes", MESSAGES)
@pytest.mark.parametrize("window_bytes", WINDOWS)
async def test_what_is_sent_to_a_server_that_stops_reading(window_bytes, message_bytes, reads):
    await meets_prediction(window_bytes, message_bytes, reads)


@pytest.mark.repeat
@pytest.mark.parametrize("reads", [0, 1, 10])
@pytest.mark.parametrize("message_bytes", MESSAGES)
@pytest.mark.parametrize("window_bytes", WINDOWS)
async def test_what_is_sent_to_a_server_that_stops_reading_a_hundred_times(window_bytes, message_bytes, reads, repeat):
    await meets_prediction(window_bytes, message_bytes, reads)


@pytest.mark.parametrize("method", READS)
@pytest.mark.parametrize("way", WAYS)
async def test_all_ways_to_send_and_to_read_are_held_back_alike(way, method):
    await meets_prediction(16_384, 1_000, 0, method, way)


@pytest.mark.parametrize("method", READS)
@pytest.mark.parametrize("way", WAYS)
async def test_both_ends_count_the_same(way, method):
    async with byte_session() as session:
        call = send(session, method, 7, 95, way)
        session.service.read_all()
        assert await call == b"7"
        await until(lambda: session.uploaded.open_books() + session.taken.open_books(), lambda books: books == [])
        sent = session.uploaded.statement().methods[method]
        read = session.taken.statement().methods[method]
        assert (sent["messages"], sent["bytes"]) == (read["messages"], read["bytes"]) == (7, 700)
        assert (sent["produced"], sent["dropped"], read["unsized"]) == (7, 0, 0)


async def test_a_server_that_goes_on_gets_everything_and_is_never_sent_more_than_the_bound():
    window = Window(16_384)
    async with byte_session(server_window=window) as session:
        call = send(session, UPLOADED, 300, 1_000)
        for reads in range(1, 301):
            session.service.allowed.release()
            await until(
                session.taken.open_books,
                lambda books: books and books[0].messages == reads,  # noqa: B023
                every_seconds=0.001,
            )
            (sent,) = session.uploaded.open_books()
            assert sent.messages <= reads + window.bound_messages(1_000)
        session.service.read_all()
        assert await call == b"300"


@pytest.mark.parametrize("message_bytes", LARGE_MESSAGES)
async def test_a_server_without_a_window_is_sent_4_mib(message_bytes):
    async with byte_session(server_window=Window(None)) as session:
        ceiling = AUTOTUNED_ENDS_AT_BYTES // wire_bytes(message_bytes)
        call = send(session, UPLOADED, ceiling + 10, message_bytes)
        assert await sent_when_blocked(session.uploaded, at_least=ceiling) == ceiling
        call.cancel()


async def test_a_call_with_both_streams_has_two_books_under_one_id():
    async with byte_session() as session:
        call = session.echo(ECHO_GENERATED)
        for size in (0, 10, 1_000):
            await call.write(bytes(size))
            assert await call.read() == bytes(size)
        ledgers = (session.sent, session.received, session.uploaded, session.taken)
        books = [book for ledger in ledgers for book in ledger.open_books()]
        assert len({book.identity.stream_id for book in books}) == 1
        assert len(books) == 4
        await call.done_writing()
        assert await call.code()
        await until(lambda: [b for ledger in ledgers for b in ledger.open_books()], lambda books: books == [])
        tallies = [ledger.statement().methods[ECHO_GENERATED] for ledger in ledgers]
        assert {(tally["messages"], tally["bytes"]) for tally in tallies} == {(3, 1_025)}


async def test_a_client_tells_of_a_server_that_holds_it_back():
    now = 0.0  # it stands still until the window is full: a write also waits for a connection, or a busy machine
    events: list[ConsumerEvent] = []
    window = Window(16_384)
    async with byte_session(server_window=window) as session:
        measured = FlowControlClientInterceptor(
            "eager",
            Window(),
            size_of=len,
            server_window=window,
            uploads=Ledger(SendBook, clock=lambda: now),
            on_consumer=events.append,
            thresholds=Thresholds(share_window_seconds=0.1, check_every_seconds=0.01),
        )
        await session.channel.close()
        session.channel = grpc.aio.insecure_channel(f"127.0.0.1:{session.port}", interceptors=measured.interceptors)
        call = send(session, UPLOADED, 2_000, 95)
        (held,) = await until(measured.uploads.open_books, lambda books: books and books[0].messages == 163)
        assert events == []
        now = 1.0
        await until(lambda: events)
        assert (events[0].became, events[0].client, events[0].method) == ("held_back", "eager", UPLOADED)
        assert (events[0].in_flight_bytes, events[0].sent_messages) == (16_384, 163)
        assert held.transitions["held_back"] == 1
        session.service.read_all()
        assert await call == b"2000"
        await session.channel.close()
