"""Both interceptors, over real connections to a service of bytes."""

from __future__ import annotations

import asyncio
import logging

import grpc
import pytest
from prometheus_client import CollectorRegistry

from flowcontrol import FlowControlClientInterceptor, Ledger, SendBook, Window
from flowcontrol.identity import CLIENT_NAME_KEY, INVALID, STREAM_ID_KEY, UNNAMED, WINDOW_KEY

from byte_service import (
    ABORTED,
    BROKEN,
    ECHO_GENERATED,
    ECHO_WRITTEN,
    GENERATED,
    SERVICE,
    SYNCHRONOUS,
    UNARY,
    WRITTEN,
    Session,
    byte_session,
)
from waiting import until


async def no_stream_open(session: Session) -> None:
    await until(session.sent_books, lambda books: books == [], what="no open stream at the server")


@pytest.mark.parametrize("method", [GENERATED, WRITTEN])
@pytest.mark.parametrize("style", ["async for", "read"])
async def test_both_ends_count_the_same(method, style):
    async with byte_session(95) as session:
        call = session.call(method, b"7")
        if style == "read":
            messages = []
            while (message := await call.read()) is not grpc.aio.EOF:
                messages.append(message)
        else:
            messages = [message async for message in call]
        assert messages == [bytes(95)] * 7
        assert await call.code() is grpc.StatusCode.OK
        await no_stream_open(session)
        sent, received = session.sent_tally(method), session.received_tally(method)
        assert (sent["messages"], sent["bytes"]) == (received["messages"], received["bytes"]) == (7, 700)


@pytest.mark.parametrize("method", [ECHO_GENERATED, ECHO_WRITTEN])
async def test_streams_in_both_directions(method):
    async with byte_session() as session:
        call = session.echo(method)
        for size in (0, 10, 1_000):
            await call.write(bytes(size))
            assert await call.read() == bytes(size)
        await call.done_writing()
        assert await call.read() is grpc.aio.EOF
        await no_stream_open(session)
        sent, received = session.sent_tally(method), session.received_tally(method)
        assert (sent["messages"], sent["bytes"]) == (received["messages"], received["bytes"]) == (3, 1_025)


async def test_streams_in_both_directions_with_an_iterator_of_requests():
    async def requests():
        for _ in range(5):
            yield b"x"

    async with byte_session() as session:
        call = session.echo(ECHO_GENERATED, request_iterator=requests())
        assert [message async for message in call] == [b"x"] * 5
        assert session.received_tally(ECHO_GENERATED)["messages"] == 5


async def test_both_ends_mean_the_same_streams():
    async with byte_session(client="slow-client", window=Window(20_000)) as session:
        calls = [session.call(GENERATED) for _ in range(3)]
        for call in calls:
            await call.read()
        key = (GENERATED, "slow-client")
        server, client = session.sent.statement().accounts[key], session.received.statement().accounts[key]
        assert len({book.identity.stream_id for book in server.open_books}) == 3
        assert {book.identity for book in server.open_books} == {book.identity for book in client.open_books}
        assert server.window_bytes == client.window_bytes == 20_000


async def test_other_methods_pass_unmeasured():
    async with byte_session() as session:
        assert await session.channel.unary_unary(f"/{UNARY}")(b"hello") == b"hello"
        call = session.call(SYNCHRONOUS, b"3")
        assert len([message async for message in call]) == 3
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await session.call(f"{SERVICE}/None").read()
        assert failure.value.code() is grpc.StatusCode.UNIMPLEMENTED
        assert session.sent.statement().accounts == {}


async def test_metadata_of_the_caller_is_kept():
    async with byte_session() as session:
        call = session.call(GENERATED, b"1", metadata=grpc.aio.Metadata(("mine", "1"), ("also-bin", b"\x00\xff")))
        await call.read()
        assert await call.code() is grpc.StatusCode.OK


async def test_an_abort_reaches_the_client_and_closes_the_stream():
    async with byte_session() as session:
        call = session.call(ABORTED)
        assert await call.read() == bytes(95)
        with pytest.raises(grpc.aio.AioRpcError, match="given up") as failure:
            await call.read()
        assert failure.value.code() is grpc.StatusCode.DATA_LOSS
        await no_stream_open(session)
        assert session.sent_tally(ABORTED)["messages"] == 1
        assert session.received_tally(ABORTED)["messages"] == 1


async def test_an_exception_in_a_handler_closes_the_stream(caplog):
    caplog.set_level(logging.CRITICAL, "grpc")  # it logs the handler's exception
    async with byte_session() as session:
        call = session.call(BROKEN)
        await call.read()
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await call.read()
        assert failure.value.code() is grpc.StatusCode.UNKNOWN
        await no_stream_open(session)


@pytest.mark.parametrize("method", [GENERATED, WRITTEN])
async def test_a_client_that_cancels_while_its_stream_is_blocked_frees_it(method):
    async with byte_session(10_000, window=Window(16_384)) as session:
        call = session.call(method)
        await until(session.sent_books, lambda books: books and books[0].writing.lap_seconds(session.sent.clock()))
        call.cancel()
        await no_stream_open(session)
        await until(lambda: session.service.ended, lambda ended: ended == [method], what="the handler's end")
        tally = session.sent_tally(method)
        assert tally["messages"] == 1
        assert tally["write_blocked_seconds"] > 0
        await until(lambda: session.received.statement().accounts[method, "tester"].open_books, lambda books: not books)


@pytest.mark.parametrize("method", [GENERATED, WRITTEN])
async def test_a_deadline_closes_the_stream_at_both_ends(method):
    async with byte_session(10_000, window=Window(16_384)) as session:
        call = session.call(method, timeout=0.2)
        await call.read()
        assert await call.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        await no_stream_open(session)
        assert session.received.statement().accounts[method, "tester"].open_books == []


async def test_a_client_that_leaves_its_loop_early_closes_the_stream():
    async with byte_session() as session:
        call = session.call(GENERATED)
        async for _ in call:
            break
        call.cancel()
        await no_stream_open(session)
        assert session.received_tally(GENERATED)["messages"] == 1


async def test_a_call_that_nobody_reads_is_closed_with_its_channel():
    async with byte_session() as session:
        session.call(GENERATED)
        await until(session.sent_books)
        await session.channel.close()
        await no_stream_open(session)
        books = session.received.statement().accounts[GENERATED, "tester"].open_books
        assert books == []


async def test_a_server_that_is_not_there():
    registry = CollectorRegistry()
    interceptor = FlowControlClientInterceptor("client", Window(), registry=registry, size_of=len)
    async with grpc.aio.insecure_channel("127.0.0.1:1", interceptors=interceptor.interceptors) as channel:
        call = channel.unary_stream(f"/{GENERATED}")(b"")
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await call.read()
        assert failure.value.code() is grpc.StatusCode.UNAVAILABLE
    labels = {"method": GENERATED, "client": "client"}
    assert registry.get_sample_value("flowcontrol_client_streams_opened_total", labels) == 1
    assert registry.get_sample_value("flowcontrol_client_streams", labels) == 0


@pytest.mark.parametrize("name", ["", "-x", "a b", "x" * 64])
def test_a_client_must_have_a_name(name):
    with pytest.raises(ValueError, match="1 to 63 letters"):
        FlowControlClientInterceptor(name, Window())


async def test_the_client_tells_waiting_from_processing():
    """A clock that the test sets: one second goes by where the test says so, and nowhere else."""
    now = 0.0
    async with byte_session(clock=lambda: now) as session:
        call = session.echo(ECHO_GENERATED)
        reading = asyncio.ensure_future(call.read())
        await until(lambda: [b for a in session.received.statement().accounts.values() for b in a.open_books])
        await until(lambda: session.sent_books(), what="the stream at the server")
        now = 3.0
        await call.write(b"x")
        await reading
        now = 10.0
        reading = asyncio.ensure_future(call.read())
        await call.write(b"x")
        await reading
        tally = session.received_tally(ECHO_GENERATED)
        assert tally["read_waiting_seconds"] == 3
        assert tally["processing_seconds"] == 7


class RawClient:
    """A client that declares whatever it likes."""

    def __init__(self, session: Session) -> None:
        self._channel = grpc.aio.insecure_channel(f"127.0.0.1:{session.port}")

    async def read_one(self, metadata: tuple[tuple[str, str | bytes], ...]) -> None:
        call = self._channel.unary_stream(f"/{GENERATED}")(b"1", metadata=metadata)
        assert await call.read() == bytes(95)
        assert await call.code() is grpc.StatusCode.OK

    async def close(self) -> None:
        await self._channel.close()


BAD_METADATA = [
    ((CLIENT_NAME_KEY, "a b"),),
    ((CLIENT_NAME_KEY, ""),),
    ((CLIENT_NAME_KEY, "x" * 7_000),),
    ((CLIENT_NAME_KEY, 'x",method="y'),),
    ((CLIENT_NAME_KEY + "-bin", b"\x00\xff\n"),),
    ((STREAM_ID_KEY, "-1"), (CLIENT_NAME_KEY, "\x7e")),
    ((STREAM_ID_KEY, "9" * 5_000),),
    ((WINDOW_KEY, "9" * 5_000),),
    ((WINDOW_KEY, "1"), (STREAM_ID_KEY, "nan")),
    tuple((CLIENT_NAME_KEY, f"-{number}") for number in range(50)),
]


@pytest.mark.parametrize("metadata", BAD_METADATA, ids=lambda metadata: f"{metadata[0][0]}={metadata[0][1][:8]!r}")
async def test_bad_metadata_gets_an_answer_and_no_label_of_its_own(metadata):
    async with byte_session() as session:
        client = RawClient(session)
        await client.read_one(metadata)
        await no_stream_open(session)
        assert {client for _, client in session.sent.statement().accounts} <= {UNNAMED, INVALID}
        await client.close()


async def test_metadata_larger_than_grpc_takes_ends_the_call_and_not_the_server():
    async with byte_session() as session:
        client = RawClient(session)
        with pytest.raises(grpc.aio.AioRpcError):
            await client.read_one(((CLIENT_NAME_KEY, "x" * 100_000),))
        await client.read_one(((CLIENT_NAME_KEY, "good"),))
        assert (GENERATED, "good") in session.sent.statement().accounts
        await client.close()


async def test_names_that_have_bytes_outside_of_ascii_are_refused_by_grpc_or_become_one_label():
    async with byte_session() as session:
        client = RawClient(session)
        for name in (b"\xff\xfe", b"\x01", "é".encode()):
            try:
                await client.read_one(((CLIENT_NAME_KEY, name),))
            except (grpc.aio.AioRpcError, ValueError):
                continue
        await client.read_one(((CLIENT_NAME_KEY, "good"),))
        assert {name for _, name in session.sent.statement().accounts} <= {UNNAMED, INVALID, "good"}
        await client.close()


async def test_hundreds_of_names_do_not_grow_the_metrics():
    ledger = Ledger(SendBook, most_clients=50)
    async with byte_session(sent=ledger) as session:
        client = RawClient(session)
        numbers = iter(range(500))

        async def read_many() -> None:
            for number in numbers:
                await client.read_one(((CLIENT_NAME_KEY, f"client-{number}"),))

        await asyncio.gather(*(read_many() for _ in range(20)))
        await no_stream_open(session)
        accounts = ledger.statement().accounts
        assert len(accounts) == 50, "at most 20 streams are open at once, so none has to share a label"
        assert session.sent_tally(GENERATED)["messages"] == 500
        await client.close()
