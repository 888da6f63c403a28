"""Requests that end grpc's own accept loop: the server finds out, says so, and takes new streams again."""

from __future__ import annotations

import asyncio
import signal
import socket
from contextlib import ExitStack
from typing import Any

import grpc
import pytest
from raw_http2 import request, sent

from flowcontrol import FlowControlServerInterceptor, MessageLog, Window
from stock_server.health import Health
from stock_server.port.grpc_server import build
from stock_server.settings import ServerSettings
from stock_server.streams.feed import LiveFeed
from stock_server.streams.service import StockService
from stockfeed.pace import Pace
from stockservice.stock_pb2 import EmptyRequest
from stockservice.stock_pb2_grpc import StockServiceStub

from processes import Service, Services
from waiting import until

NOT_UTF8 = [b"/\xff\xfe/x", b"\x80", b"/stockservice.StockService/GetUpdates\xc3"]
FAILURES = "stock_server_accept_failures_total"


def open_stream(server: Service, name: str) -> tuple[grpc.aio.Channel, Any]:
    options = [*Window(16_384).channel_options(), ("of", name)]
    channel = grpc.aio.insecure_channel(server.address, options=options)
    return channel, StockServiceStub(channel).GetUpdates(EmptyRequest())


async def read_next(call: Any) -> int:
    return int((await call.read()).sequence)


async def read_to_the_end(call: Any) -> str:
    try:
        while True:
            await read_next(call)
    except grpc.aio.AioRpcError as error:
        return str(error.details())


async def resumed(server: Service, times: int) -> None:
    await until(lambda: server.events("server.accept.resumed"), lambda events: len(events) == times)


@pytest.mark.parametrize("path", NOT_UTF8, ids=ascii)
async def test_a_path_that_is_no_text_keeps_nobody_out_and_ends_no_stream(services: Services, path: bytes):
    server = services.server("--update-interval-seconds", "0.01")
    before, stream = open_stream(server, "before")
    number = await read_next(stream)
    for times in (1, 2):
        with sent(server.grpc_port, request(path)):
            await resumed(server, times)
        assert await read_next(stream) == (number := number + 1), "the open stream goes on"
        channel, late = open_stream(server, f"late-{times}")
        assert await read_next(late) == 1
        await channel.close()
    assert server.metric(FAILURES) == 2
    assert server.metric("flowcontrol_server_streams") == 1
    (first, _) = server.events("server.accept.failed")
    assert "UnicodeDecodeError" in first["reason"]

    server.send(signal.SIGTERM)
    assert await read_to_the_end(stream) == "the server is shutting down"
    assert await asyncio.to_thread(server.wait) == 0
    assert server.tracebacks() == []
    await before.close()


async def test_many_of_them_one_after_another_leave_the_process_whole(services: Services):
    server = services.server("--update-interval-seconds", "0.01")
    channel, stream = open_stream(server, "all along")
    number = await read_next(stream)
    with ExitStack() as stack:
        for times in range(1, 31):
            stack.enter_context(sent(server.grpc_port, request(NOT_UTF8[0])))
            await resumed(server, times)
            assert await read_next(stream) == (number := number + 1)
    assert await read_next(stream) == number + 1
    assert server.process.poll() is None
    await channel.close()


async def test_no_request_is_waited_for_in_memory_that_a_failing_accept_loop_gives_up(monkeypatch):
    """See `_leave_unregistered`: whether that kills the process is a matter of chance, so the cause is looked for."""
    registered: list[str] = []
    monkeypatch.setattr(grpc.aio.Server, "add_registered_method_handlers", lambda _, name, __: registered.append(name))
    settings = ServerSettings(host="127.0.0.1", grpc_port=0)
    pace = Pace(1.0)
    service = StockService(pace, LiveFeed([], pace, MessageLog()), list, settings.limits)
    server, _ = build(settings, service, Health(), FlowControlServerInterceptor(), 0)
    assert registered == []
    await server.stop(0)


async def test_a_server_without_streams_survives_it_too(services: Services):
    server = services.server()
    with sent(server.grpc_port, request(NOT_UTF8[0])):
        await resumed(server, 1)
    channel, stream = open_stream(server, "late")
    assert await read_next(stream) == 1
    await channel.close()


async def test_a_server_that_cannot_have_its_port_again_drains_and_leaves_with_status_1(services: Services):
    server = services.server("--update-interval-seconds", "0.01")
    before, stream = open_stream(server, "before")
    await read_next(stream)
    port = server.grpc_port
    with sent(port, request(NOT_UTF8[0])), socket.socket() as thief:
        thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        await until(lambda: thief.bind(("127.0.0.1", port)) is None, retry_on=OSError, every_seconds=0.001)
        thief.listen()
        assert await read_to_the_end(stream) == "the server is shutting down"
        assert await asyncio.to_thread(server.wait) == 1
    assert server.events("server.accept.lost")
    assert server.errors() == ""
    await before.close()
