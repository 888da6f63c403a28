"""How the services end: cleanly, in time, and with the right exit status."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from raw_http2 import request, sent

from flowcontrol import Window
from flowcontrol.identity import CLIENT_NAME_KEY
from stockservice.stock_pb2 import EmptyRequest
from stockservice.stock_pb2_grpc import StockServiceStub

from processes import Services, clean_environment, free_port
from waiting import until, until_blocking

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
BLOCKED = "flowcontrol_server_write_blocked_now_seconds"


async def read_to_the_end(call) -> tuple[grpc.StatusCode, str | None]:
    try:
        async for _ in call:
            pass
    except grpc.aio.AioRpcError as error:
        return error.code(), error.details()
    return await call.code(), await call.details()


async def test_a_server_drains_in_time_with_a_fast_and_a_stalled_client(services: Services):
    grace_seconds = 1.5
    server = services.server(
        *("--update-interval-seconds", "0.005", "--padding-bytes", "2000"),
        *("--drain-delay-seconds", "0.5", "--grace-seconds", str(grace_seconds)),
    )
    options = Window(16_384).channel_options()
    # a connection each: grpc would share one between channels with the same options
    async with (
        grpc.aio.insecure_channel(server.address, options=[*options, ("of", "fast")]) as fast_channel,
        grpc.aio.insecure_channel(server.address, options=[*options, ("of", "stalled")]) as stalled_channel,
        grpc.aio.insecure_channel(server.address, options=[("of", "health")]) as health_channel,
    ):
        fast = asyncio.ensure_future(
            read_to_the_end(
                StockServiceStub(fast_channel).GetUpdates(EmptyRequest(), metadata=((CLIENT_NAME_KEY, "fast"),))
            )
        )
        stalled = StockServiceStub(stalled_channel).GetUpdates(EmptyRequest(), metadata=((CLIENT_NAME_KEY, "stalled"),))
        await until(lambda: server.metric(BLOCKED, client="stalled"), lambda seconds: seconds > 0.2)
        check = health_pb2_grpc.HealthStub(health_channel).Check
        of_stocks = health_pb2.HealthCheckRequest(service="stockservice.StockService")
        assert (await check(of_stocks)).status == SERVING
        assert not fast.done()

        signalled_at = time.monotonic()
        server.send(signal.SIGTERM)
        # first it is not ready, then its streams end
        answer = await until(lambda: check(of_stocks), lambda answer: answer.status == NOT_SERVING, every_seconds=0.01)
        assert answer.status == NOT_SERVING
        assert (await check(health_pb2.HealthCheckRequest())).status == NOT_SERVING
        assert not fast.done()
        assert await fast == (grpc.StatusCode.UNAVAILABLE, "the server is shutting down")
        assert server.process.poll() is None, "the stalled stream has its grace period"
        async with grpc.aio.insecure_channel(server.address, options=[("of", "new")]) as new_channel:
            code, _ = await read_to_the_end(StockServiceStub(new_channel).GetUpdates(EmptyRequest()))
            # grpc cancels the call that comes just as it closes the port
            assert code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
        assert await asyncio.to_thread(server.wait) == 0
        assert 0.5 + grace_seconds < time.monotonic() - signalled_at < 0.5 + grace_seconds + 5
        # grpc tells a client how its stream ended once it has read what came before
        code, _ = await read_to_the_end(stalled)
        assert code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
    assert server.event("server.drain.complete")
    assert "Traceback" not in server.errors()


def test_one_who_watches_health_and_does_not_read_holds_up_nobody(services: Services):
    server = services.server("--grace-seconds", "1")
    watch = request(b"/grpc.health.v1.Health/Watch", message=b"", window_bytes=0)
    with sent(server.grpc_port, watch) as stalled, grpc.insecure_channel(server.address) as channel:
        assert stalled.recv(9), "the connection is up"
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=15)
        assert next(watch).status == SERVING
        server.send(signal.SIGTERM)
        assert next(watch).status == NOT_SERVING
        assert server.wait() == 0
    assert server.errors() == ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_both_end_cleanly_on_a_signal(services: Services, number: signal.Signals):
    server = services.server("--update-interval-seconds", "0.01")
    client = services.client(server.address, "--processing", "30")
    client.metric_reaches("flowcontrol_client_received_messages_total", lambda messages: messages == 1)
    assert client.stop(number) == 0, "in the middle of processing an update"
    assert client.event("client.stop.complete")["updates"] == 1
    assert server.stop(number) == 0
    assert server.event("server.drain.complete")
    assert (server.errors(), client.errors()) == ("", "")


NEVER_ENDS = """
import asyncio
import stock_server.main
from stock_server.streams.service import StockService

async def hang(self, request, context):
    await context.send_initial_metadata(())
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            pass

StockService.GetUpdates = hang
stock_server.main.HANDLERS_WITHIN_SECONDS = 0.5
stock_server.main.main()
"""


def test_a_handler_that_never_ends_does_not_hold_up_the_drain_for_ever(tmp_path):
    ports = ["--host", "127.0.0.1", "--grpc-port", "0", "--metrics-port", "0", "--log-format", "json"]
    command = [sys.executable, "-c", NEVER_ENDS, *ports, "--grace-seconds", "0"]
    log = tmp_path / "log.jsonl"
    with log.open("w") as out, subprocess.Popen(command, stdout=out, env=clean_environment()) as process:
        started = until_blocking(log.read_text, lambda text: text.endswith("\n"), what="its first line")
        with grpc.insecure_channel(f"127.0.0.1:{json.loads(started)['grpc_port']}") as channel:
            call = StockServiceStub(channel).GetUpdates(EmptyRequest())
            call.initial_metadata()  # the handler runs
            process.send_signal(signal.SIGTERM)
            assert process.wait(15) == 1
    assert json.loads(log.read_text().splitlines()[-1])["event"] == "server.drain.unfinished"


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_a_second_signal_ends_a_server_that_drains_at_once_and_without_a_traceback(
    services: Services, first: signal.Signals, second: signal.Signals
):
    server = services.server("--drain-delay-seconds", "60")
    server.event("server.start.complete")
    server.send(first)
    server.event("server.drain.started")
    assert server.stop(second) == -second
    assert server.errors() == ""


@pytest.mark.parametrize("module", ["stock_server", "stock_client"])
def test_an_interrupt_while_it_starts_ends_it_without_a_traceback(module: str):
    """At any moment from its own first line on; before that it is Python that starts."""
    environment = clean_environment(PYTHONVERBOSE="1")
    ports = ["--metrics-port", "0", *(["--grpc-port", "0"] if module == "stock_server" else [])]
    for wanted in (f"import '{module}.main'", "import 'asyncio'", "import 'grpc'", "import 'pydantic'"):
        with subprocess.Popen(
            [sys.executable, "-m", module, *ports], stderr=subprocess.PIPE, text=True, env=environment
        ) as process:
            for line in process.stderr:
                if line.startswith((wanted, "import 'structlog")):
                    break
            process.send_signal(signal.SIGINT)
            rest = process.stderr.read()
            assert process.wait(15) == -signal.SIGINT, "130 to a shell"
        assert "Traceback" not in rest


def test_a_client_ends_cleanly_while_it_waits_to_reconnect(services: Services):
    client = services.client(f"127.0.0.1:{free_port()}", "--backoff-max-seconds", "0.2")
    client.metric_reaches("stock_client_reconnects_total", lambda reconnects: reconnects >= 3)
    assert client.stop() == 0
    assert client.errors() == ""


def test_a_client_waits_for_a_server_that_is_not_there_yet(services: Services):
    port = free_port()
    client = services.client(f"127.0.0.1:{port}")
    client.event("stream.end")
    services.server(grpc_port=port)
    client.event("stream.open.complete")
    waits = [event["reconnect_in_seconds"] for event in client.events("stream.end")]
    assert all(seconds <= 0.1 * 2**attempt for attempt, seconds in enumerate(waits)), "exponential, from 0.1 s"
