"""Interceptors that share a registry, a chain or a loop; methods without end; sizes; a callback's variables."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import Any

import grpc
import pytest
from prometheus_client import CollectorRegistry

from flowcontrol import (
    ConsumerWatch,
    FlowControlClientInterceptor,
    FlowControlServerInterceptor,
    Identity,
    Ledger,
    ReceiveBook,
    SendBook,
    SharedMessage,
    Thresholds,
    Window,
    wire_bytes,
)
from flowcontrol.books.book import ConsumerState
from flowcontrol.books.ledger import TOO_MANY

from byte_service import GENERATED, WRITTEN, session_of
from mirror import CODECS, Mirror
from waiting import until

WINDOW = Window(65_535)
SPOKEN = ContextVar("spoken", default="nobody")


async def test_two_interceptors_of_one_registry_share_a_ledger():
    registry = CollectorRegistry()
    servers = [FlowControlServerInterceptor(registry=registry) for _ in range(2)]
    clients = [FlowControlClientInterceptor(name, WINDOW, registry=registry, size_of=len) for name in ("one", "two")]
    for server_side, client_side in zip(servers, clients, strict=True):
        async with session_of([server_side], client_side.interceptors) as channel:
            assert len([message async for message in channel.unary_stream(f"/{GENERATED}")(b"3")]) == 3
            await server_side.handlers_ended()
    assert servers[0].ledger is servers[1].ledger
    for name in ("one", "two"):
        of = {"method": GENERATED, "client": name}
        assert registry.get_sample_value("flowcontrol_server_sent_messages_total", of) == 3
        assert registry.get_sample_value("flowcontrol_client_received_messages_total", of) == 3
    assert registry.get_sample_value("flowcontrol_server_method_sent_messages_total", {"method": GENERATED}) == 6


def test_a_registry_takes_one_ledger_of_each_end():
    registry = CollectorRegistry()
    FlowControlServerInterceptor(registry=registry)
    with pytest.raises(ValueError, match="give both interceptors the same ledger, or a registry each"):
        FlowControlServerInterceptor(registry=registry, ledger=Ledger(SendBook))
    ledger = Ledger(ReceiveBook)
    for _ in range(2):
        FlowControlClientInterceptor("one", WINDOW, registry=registry, ledger=ledger)


@pytest.mark.parametrize("method", [GENERATED, WRITTEN])
async def test_a_stream_is_measured_once_however_often_ours_is_in_the_chain(method):
    registry = CollectorRegistry()
    chain = [FlowControlServerInterceptor(registry=registry) for _ in range(3)]
    async with session_of(chain, []) as channel:
        assert len([message async for message in channel.unary_stream(f"/{method}")(b"3")]) == 3
        await chain[0].handlers_ended()
    of = {"method": method, "client": "unnamed"}
    assert registry.get_sample_value("flowcontrol_server_streams_opened_total", of) == 1
    assert registry.get_sample_value("flowcontrol_server_sent_messages_total", of) == 3


def test_methods_beyond_the_most_share_one_label():
    ledger = Ledger(SendBook, most_methods=10)
    for number in range(3_000):
        book = ledger.open(f"any/Method{number}", Identity("client"))
        book.add(100)
        ledger.close(book)
    again = ledger.open("any/Method3", Identity("client"))
    statement = ledger.statement()
    assert again.method == "any/Method3"
    assert len(statement.methods) == 11
    assert statement.methods[TOO_MANY]["messages"] == 2_990
    assert statement.methods["any/Method9"]["messages"] == 1


def held_back(watch: ConsumerWatch, ledger: Ledger[SendBook]) -> SendBook:
    book = ledger.open("service/Method", Identity("client"))
    book.writing.start(-100.0)
    watch.watch(book)
    return book


@pytest.mark.parametrize("before", ["ends", "is closed in the middle"])
def test_held_back_is_detected_in_a_new_event_loop_too(before):
    ledger = Ledger(SendBook)
    watch = ConsumerWatch(ledger, thresholds=Thresholds(share_window_seconds=0.01, check_every_seconds=0.001))

    async def detect() -> None:
        book = held_back(watch, ledger)
        await until(lambda: book.state, lambda state: state is not ConsumerState.KEEPING_UP, every_seconds=0.001)
        ledger.close(book)

    if before == "ends":
        asyncio.run(detect())
    else:
        loop = asyncio.new_event_loop()
        loop.run_until_complete(detect())
        for task in asyncio.all_tasks(loop):  # or asyncio tells of it
            task.cancel()
            task._log_destroy_pending = False
        loop.close()
    asyncio.run(detect())


async def test_a_callback_has_the_variables_of_whoever_made_the_interceptor():
    seen: list[str] = []
    SPOKEN.set("maker")
    ledger = Ledger(SendBook)
    thresholds = Thresholds(share_window_seconds=0.01, check_every_seconds=0.001)
    watch = ConsumerWatch(ledger, lambda event: seen.append(SPOKEN.get()), thresholds)
    SPOKEN.set("first caller")
    book = held_back(watch, ledger)
    await until(lambda: seen, every_seconds=0.001)
    assert seen[0] == "maker"
    ledger.close(book)


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("style", ["generator", "coroutine"])
async def test_sizes_are_those_that_the_serializer_makes(style, codec):
    mirror, server_side = Mirror(), FlowControlServerInterceptor()
    async with session_of([server_side], [], mirror) as channel:
        sizes = (0, 10, 1_000, 100_000)
        steps = str([["send", size] for size in sizes]).replace("'", '"').encode()
        call = channel.unary_stream(f"/mirror.Mirror/unary_stream.{style}.{codec}")(steps)
        received = [len(message) async for message in call]
        await server_side.handlers_ended()
    (tally,) = server_side.ledger.statement().methods.values()
    assert (tally["messages"], tally["unsized"]) == (4, 0)
    assert tally["bytes"] == sum(map(wire_bytes, received)) > sum(sizes)


class Keeper(grpc.aio.ServerInterceptor):
    """Keeps the first handler that it is given for all calls."""

    def __init__(self) -> None:
        self.handler: Any = None

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        self.handler = self.handler or await continuation(handler_call_details)
        return self.handler


async def test_a_handler_that_is_kept_for_several_streams_measures_each():
    mirror, server_side = Mirror(), FlowControlServerInterceptor()
    async with session_of([Keeper(), server_side], [], mirror) as channel:
        stub = channel.unary_stream("/mirror.Mirror/unary_stream.generator.note")
        held = stub(b'[["send", 10], ["wait"]]')
        await held.read()
        assert len([message async for message in stub(b'[["send", 10], ["send", 20]]')]) == 2
        held.cancel()
        await server_side.handlers_ended()
        (tally,) = server_side.ledger.statement().methods.values()
        assert (tally["messages"], tally["unsized"]) == (3, 2), "whose size it was could not be told"


class Hoarder(grpc.aio.UnaryStreamClientInterceptor):
    """Hands the messages on once it has all of them, when the call has ended."""

    async def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        call = await continuation(client_call_details, request)
        messages = [message async for message in call]
        await call.code()

        async def answer() -> Any:
            for message in messages:
                yield message

        return answer()


async def test_messages_of_a_call_that_has_ended_count_when_they_are_read():
    registry = CollectorRegistry()
    client_side = FlowControlClientInterceptor("tester", WINDOW, registry=registry, size_of=len)
    async with session_of([], [*client_side.interceptors, Hoarder()]) as channel:
        assert len([message async for message in channel.unary_stream(f"/{GENERATED}")(b"3")]) == 3
    of = {"method": GENERATED, "client": "tester"}
    assert registry.get_sample_value("flowcontrol_client_received_messages_total", of) == 3
    assert registry.get_sample_value("flowcontrol_client_streams_opened_total", of) == 1
    assert client_side.ledger.open_books() == []


def test_a_shared_message_is_serialised_once():
    calls: list[bytes] = []

    def serialize(message: bytes) -> bytes:
        calls.append(message)
        return message + b"!"

    message = SharedMessage(b"abc")
    assert [message.serialized(serialize) for _ in range(3)] == [b"abc!"] * 3
    assert calls == [b"abc"]
    assert message.upper() == b"ABC"
