"""A fault inside of measuring ends no stream: it is logged once, and counted."""

from __future__ import annotations

from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from flowcontrol import (
    FlowControlClientInterceptor,
    FlowControlServerInterceptor,
    Ledger,
    ReceiveBook,
    SendBook,
    Window,
)
from flowcontrol.books.faults import log as fault_log
from flowcontrol.identity import INVALID

from byte_service import ECHO_GENERATED, GENERATED, WRITTEN, session_of
from waiting import until

WINDOW = Window(65_535)
MORE_THAN_THE_WINDOW = 2_000
"""Messages of 100 bytes: the server cannot have sent them all before the first has been read."""


class Broken:
    """A clock that can be broken."""

    def __init__(self) -> None:
        self.works = True

    def __call__(self) -> float:
        if not self.works:
            raise OSError("no clock")
        return 0.0


def failing(*arguments: Any) -> Any:
    raise OSError("no such thing")


@pytest.mark.parametrize("method", [GENERATED, WRITTEN, ECHO_GENERATED])
@pytest.mark.parametrize("when", ["from the start", "in the middle"])
async def test_a_clock_that_fails(method, when, caplog):
    clock, registry = Broken(), CollectorRegistry()
    sent, received = Ledger(SendBook, clock=clock), Ledger(ReceiveBook, clock=clock)
    server_side = FlowControlServerInterceptor(ledger=sent, registry=registry)
    client_side = FlowControlClientInterceptor("tester", WINDOW, ledger=received, registry=registry, size_of=len)
    async with session_of([server_side], client_side.interceptors, options=WINDOW.channel_options()) as channel:
        clock.works = when == "in the middle"

        async def requests() -> Any:
            for _ in range(MORE_THAN_THE_WINDOW):
                yield b"x"
                clock.works = False

        if method == ECHO_GENERATED:
            call = channel.stream_stream(f"/{method}")(requests())
        else:
            call = channel.unary_stream(f"/{method}")(b"%d" % MORE_THAN_THE_WINDOW)
        seen = []
        async for message in call:
            seen.append(message)
            clock.works = False
        assert len(seen) == MORE_THAN_THE_WINDOW
        await server_side.handlers_ended()
    clock.works = True
    for end in ("server", "client"):
        assert registry.get_sample_value(f"flowcontrol_{end}_faults_total") > 0
    assert [record.name for record in caplog.records].count(fault_log.name) == 2, "once for each ledger"
    assert "measuring has failed" in caplog.text
    assert "no clock" in caplog.text


async def test_sizes_that_cannot_be_had_are_unknown_and_not_wrong(caplog):
    registry = CollectorRegistry()
    client_side = FlowControlClientInterceptor("tester", WINDOW, registry=registry, size_of=failing)
    async with session_of([], client_side.interceptors) as channel:
        assert len([message async for message in channel.unary_stream(f"/{GENERATED}")(b"3")]) == 3
    of = {"method": GENERATED, "client": "tester"}
    assert registry.get_sample_value("flowcontrol_client_faults_total") == 3
    assert registry.get_sample_value("flowcontrol_client_received_messages_total", of) == 3
    assert registry.get_sample_value("flowcontrol_client_unsized_messages_total", of) == 3
    assert registry.get_sample_value("flowcontrol_client_received_bytes_total", of) is None
    assert len(caplog.records) == 1


async def test_a_message_whose_size_nobody_tells_is_unknown_by_default():
    registry = CollectorRegistry()
    client_side = FlowControlClientInterceptor("tester", WINDOW, registry=registry)
    async with session_of([], client_side.interceptors) as channel:
        assert len([message async for message in channel.unary_stream(f"/{GENERATED}")(b"3")]) == 3
    of = {"method": GENERATED, "client": "tester"}
    assert registry.get_sample_value("flowcontrol_client_faults_total") == 0
    assert registry.get_sample_value("flowcontrol_client_unsized_messages_total", of) == 3
    assert registry.get_sample_value("flowcontrol_client_open_streams_received_bytes", of) == 0, "none is open"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_name_that_cannot_be_proved_does_not_count(caplog):
    server_side = FlowControlServerInterceptor(name_of=failing)
    client_side = FlowControlClientInterceptor("tester", WINDOW)
    async with session_of([server_side], client_side.interceptors) as channel:
        assert len([message async for message in channel.unary_stream(f"/{GENERATED}")(b"3")]) == 3
        await until(server_side.ledger.open_books, lambda books: books == [])
    assert [client for _, client in server_side.ledger.statement().accounts] == [INVALID]
    assert server_side.ledger.faults.count == 1
