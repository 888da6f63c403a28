"""A synchronous server stops at the ceiling, to the message, and is held back within the bound; the books balance."""

from __future__ import annotations

import random
import threading

import grpc
import pytest

from flowcontrol import FlowControlServerInterceptor as AioServerInterceptor
from flowcontrol import Window

from sync_service import COUNT, ECHO, sync_session
from waiting import until, until_blocking


@pytest.mark.parametrize(
    ("window_bytes", "message_bytes"), [(16_384, 95), (65_535, 95), (65_535, 1_000), (262_144, 95), (65_535, 10_000)]
)
def test_a_client_that_reads_nothing_is_sent_the_ceiling_to_the_message(window_bytes, message_bytes):
    window = Window(window_bytes)
    with sync_session(message_bytes, window=window) as session:
        session.call()
        [book] = session.blocked()
        assert book.messages == window.ceiling_messages(message_bytes)
        assert book.wire_bytes == window.ceiling_bytes(message_bytes)
        assert (book.produced, book.waiting, book.dropped) == (book.messages + 1, 1, 0)


def test_without_a_fixed_window_there_is_no_such_ceiling():
    with sync_session(10_000, window=Window(None)) as session:
        call = session.call()
        for _ in range(50):
            next(call)
        [book] = session.blocked()
        assert book.wire_bytes > 4 * 65_535


@pytest.mark.parametrize("read", [1, 200, 700, 2_000])
def test_no_reader_has_more_in_flight_than_the_bound(read):
    window = Window(16_384)
    with sync_session(window=window) as session:
        call = session.call()
        for _ in range(read):
            next(call)
        [book] = session.blocked()
        assert window.ceiling_messages(95) <= book.messages - read <= window.bound_messages(95)


def test_both_ends_agree_on_what_came_and_which_stream_it_was():
    with sync_session() as session:
        call = session.call(b"1000")
        assert next(call) == bytes(95)
        [sent], [received] = session.server_side.ledger.open_books(), session.client_side.ledger.open_books()
        assert sent.identity == received.identity
        assert sent.identity.window == Window()
        assert (sent.client, sent.method, sent.peer[:14]) == ("tester", COUNT, "ipv4:127.0.0.1")
        assert len(list(call)) == 999
        session.closed()
        assert session.sent()["messages"] == session.received()["messages"] == session.sent()["produced"] == 1_000
        assert session.sent()["bytes"] == session.received()["bytes"] == 100_000


def test_a_chat_of_an_iterator_that_is_no_generator_is_measured():
    with sync_session() as session:
        call = session.channel.stream_stream(f"/{ECHO}")(iter([b"1", b"22", b"333"]))
        assert list(call) == [b"1", b"22", b"333"]
        session.closed()
        for side in (session.server_side, session.client_side):
            tally = side.ledger.statement().methods[ECHO]
            assert (tally["messages"], tally["bytes"]) == (3, 6 + 3 * 5)


def test_the_time_between_two_messages_is_the_handlers_and_no_blocked_one():
    with sync_session() as session:
        session.service.pause.set()
        call = session.call(b"2")
        until_blocking(lambda: session.service.streams)
        threading.Event().wait(0.1)  # a handler at work
        session.service.go_on.set()
        assert len(list(call)) == 2
        session.closed()
        assert session.sent()["write_blocked_seconds"] < 0.09


def test_a_call_that_nobody_has_any_more_is_cancelled_as_without_measuring():
    with sync_session() as session:
        call = session.channel.unary_stream(f"/{COUNT}")(b"")
        until_blocking(lambda: session.service.streams)
        del call
        session.closed()


def test_streams_that_end_anyhow_leave_balanced_books():
    def one(session, seed):
        dice = random.Random(seed)
        for _ in range(5):
            call = session.channel.unary_stream(f"/{COUNT}")(b"%d" % dice.choice((0, 3, 1_000)), timeout=60)
            for _ in range(dice.choice((0, 1, 5, 2_000))):
                if next(call, None) is None:
                    break
            if dice.random() < 0.7:
                call.cancel()

    with sync_session(window=Window(16_384)) as session:
        threads = [threading.Thread(target=one, args=(session, seed)) for seed in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        session.closed()
        sent, received = session.sent(), session.received()
        assert sent["produced"] == sent["messages"] + sent["dropped"]
        assert sent["bytes"] == 100 * sent["messages"]
        assert received["messages"] > 0


async def test_a_synchronous_client_of_an_asynchronous_server():
    async def count(request, context):
        for _ in range(10):
            yield bytes(95)

    server_side = AioServerInterceptor()
    server = grpc.aio.server(interceptors=[server_side])
    handler = grpc.method_handlers_generic_handler("s", {"M": grpc.unary_stream_rpc_method_handler(count)})
    server.add_generic_rpc_handlers((handler,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    with sync_session() as session:
        messages = []

        def read():
            with grpc.insecure_channel(f"127.0.0.1:{port}") as bare:
                channel = grpc.intercept_channel(bare, *session.client_side.interceptors)
                messages.extend(channel.unary_stream("/s/M")(b""))

        thread = threading.Thread(target=read)
        thread.start()
        await until(lambda: not thread.is_alive())
        assert len(messages) == 10
        assert server_side.ledger.statement().methods["s/M"]["messages"] == 10
        assert session.client_side.ledger.statement().methods["s/M"]["messages"] == 10
    await server.stop(0)
    await server_side.handlers_ended()
