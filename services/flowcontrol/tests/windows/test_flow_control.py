"""Flow control over real connections: what is sent to a client that stops reading is predicted, not observed."""

from __future__ import annotations

import pytest
from blocked import LARGE_MESSAGES, MESSAGES, WINDOWS, sent_when_blocked

from flowcontrol import Window, wire_bytes
from flowcontrol.window import AUTOTUNED_ENDS_AT_BYTES

from byte_service import ECHO_GENERATED, GENERATED, WRITTEN, byte_session
from waiting import until


async def meets_prediction(window_bytes: int, message_bytes: int, reads: int, method: str = GENERATED) -> None:
    window, frame = Window(window_bytes), wire_bytes(message_bytes)
    async with byte_session(message_bytes, window=window) as session:
        call = session.call(method)
        for _ in range(reads):
            assert len(await call.read()) == message_bytes
        # grpc announces what was read once it makes up half of a window
        least_bytes = max(0, window_bytes // 2 - 2 * frame) if reads else window_bytes - frame + 1
        sent = await sent_when_blocked(session.sent, at_least=reads + -(-least_bytes // frame))
        in_flight_bytes = (sent - reads) * frame
        if reads == 0:
            assert sent == window.ceiling_messages(message_bytes) == window_bytes // frame
            assert window_bytes - frame < in_flight_bytes <= window_bytes
        assert in_flight_bytes <= window.bound_bytes(message_bytes)


@pytest.mark.parametrize("reads", [0, 1, 10])
@pytest.mark.parametrize("message_bytes", MESSAGES)
@pytest.mark.parametrize("window_bytes", WINDOWS)
async def test_what_is_sent_to_a_reader_that_stops(window_bytes, message_bytes, reads):
    await meets_prediction(window_bytes, message_bytes, reads)


@pytest.mark.repeat
@pytest.mark.parametrize("reads", [0, 1, 10])
@pytest.mark.parametrize("message_bytes", MESSAGES)
@pytest.mark.parametrize("window_bytes", WINDOWS)
async def test_what_is_sent_to_a_reader_that_stops_a_hundred_times(window_bytes, message_bytes, reads, repeat):
    await meets_prediction(window_bytes, message_bytes, reads)


async def test_a_handler_that_writes_is_held_back_alike():
    await meets_prediction(65_535, 1_000, 0, WRITTEN)


async def test_a_message_larger_than_the_window_comes_once_it_is_asked_for():
    window = Window(16_384)
    async with byte_session(70_000, window=window) as session:
        call = session.call(GENERATED)
        assert await sent_when_blocked(session.sent) == window.ceiling_messages(70_000) == 0
        for _ in range(5):
            assert len(await call.read()) == 70_000


async def test_a_reader_that_goes_on_gets_everything_and_is_never_ahead_of_the_bound():
    window = Window(16_384)
    async with byte_session(1_000, window=window) as session:
        call = session.call(GENERATED, b"500")
        for reads in range(500):
            if reads % 100 == 0:
                await sent_when_blocked(session.sent)
            book = session.sent_books()[0] if session.sent_books() else None
            assert book is None or book.messages - reads <= window.bound_messages(1_000)
            assert len(await call.read()) == 1_000
        assert [message async for message in call] == []
        assert session.received_tally(GENERATED)["messages"] == 500
        assert session.sent_tally(GENERATED)["messages"] == 500


async def test_two_streams_of_one_connection_have_a_window_each():
    window = Window(65_535)
    async with byte_session(1_000, window=window) as session:
        session.call(GENERATED)
        await sent_when_blocked(session.sent)
        echo = session.echo(ECHO_GENERATED)
        for _ in range(200):
            await echo.write(bytes(1_000))
            assert len(await echo.read()) == 1_000


async def test_without_a_window_nothing_holds_the_server_back_at_the_bound():
    """grpc's default: a bandwidth probe widens the window for as long as the client reads, however slowly."""
    bound = Window().bound_messages(1_000)
    async with byte_session(1_000, window=Window(None)) as session:
        call = session.call(GENERATED)

        async def in_flight() -> int:
            await call.read()
            return session.sent_books()[0].messages - call_reads()

        def call_reads() -> float:
            return session.received_tally(GENERATED)["messages"]

        await until(in_flight, lambda messages: messages > 2 * bound, every_seconds=0.005, what="twice the bound")


@pytest.mark.parametrize("message_bytes", LARGE_MESSAGES)
async def test_grpcs_own_tuning_of_the_window_ends_at_4_mib(message_bytes):
    async with byte_session(message_bytes, window=Window(None)) as session:
        session.call(GENERATED)
        ceiling = AUTOTUNED_ENDS_AT_BYTES // wire_bytes(message_bytes)
        assert await sent_when_blocked(session.sent, at_least=ceiling) == ceiling
