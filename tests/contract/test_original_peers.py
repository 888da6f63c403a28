"""The original's client works with our server, and its server with our client: both know ten fields only."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import grpc
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

from processes import Services
from waiting import until

METHOD = "/stockservice.StockService/GetUpdates"

ORIGINAL_PROTO = """
syntax = "proto3";
package stockservice;
service StockService {
    rpc GetUpdates(EmptyRequest) returns (stream StockUpdate);
}
message EmptyRequest {}
message StockUpdate {
    string ticker = 1;
    double price = 2;
    double change = 3;
    double changePercent = 4;
    int64 volume = 5;
    double openPrice = 6;
    double highPrice = 7;
    double lowPrice = 8;
    int64 marketCap = 9;
    string timestamp = 10;
}
"""


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> dict[str, Any]:
    """Return the original's message classes, in a pool apart from ours, which has the same names."""
    folder = tmp_path_factory.mktemp("original")
    (folder / "original.proto").write_text(ORIGINAL_PROTO)
    command = [sys.executable, "-m", "grpc_tools.protoc", "-I", ".", "--descriptor_set_out=set", "original.proto"]
    subprocess.run(command, cwd=folder, check=True)
    files = descriptor_pb2.FileDescriptorSet.FromString((folder / "set").read_bytes())
    return message_factory.GetMessages(files.file, pool=descriptor_pool.DescriptorPool())


async def test_the_originals_client_reads_our_server(services: Services, original):
    server = services.server("--update-interval-seconds", "0.01", "--padding-bytes", "100")
    update_type = original["stockservice.StockUpdate"]
    async with grpc.aio.insecure_channel(server.address) as channel:
        get_updates = channel.unary_stream(
            METHOD, request_serializer=lambda request: request.SerializeToString(), response_deserializer=bytes
        )
        call = get_updates(original["stockservice.EmptyRequest"]())
        updates = [update_type.FromString(await call.read()) for _ in range(20)]
    before = 150.0
    for update in updates:
        fields = json_format.MessageToDict(update, always_print_fields_with_no_presence=True)
        assert set(fields) == {field.name for field in update_type.DESCRIPTOR.fields}
        assert update.ticker == "AAPL"
        assert update.openPrice == 150.0
        assert abs(update.change) <= 2.5
        assert update.change == pytest.approx(update.price - before)
        assert update.changePercent == pytest.approx(update.change / before * 100)
        assert 0 <= update.highPrice - update.price <= 2
        assert 0 <= update.price - update.lowPrice <= 2
        assert 0 <= update.volume < 10_000
        assert update.marketCap > 0
        assert datetime.fromisoformat(update.timestamp).utcoffset() == timedelta(0)
        before = update.price


@asynccontextmanager
async def serving(handler: Callable[..., Any]) -> AsyncIterator[str]:
    """Serve GetUpdates by a handler that yields bytes; yield the address."""
    server = grpc.aio.server()
    handlers = {"GetUpdates": grpc.unary_stream_rpc_method_handler(handler)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("stockservice.StockService", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(0)


@pytest.mark.parametrize("batches", [(), ("--batches",)], ids=["GetUpdates", "GetUpdateBatches"])
async def test_our_client_reads_the_originals_server(services: Services, original, batches):
    """It has no numbers, so none can be missing, it names no source, and knows of no batches."""
    update_type = original["stockservice.StockUpdate"]

    async def updates(request: bytes, context: Any) -> AsyncIterator[bytes]:
        assert request == b""
        for price in range(1, 6):
            # as Go writes it
            yield update_type(
                ticker="AAPL", price=price, changePercent=0.5, timestamp="2026-11-22T12:00:00.123456789+01:00"
            ).SerializeToString()
        await context.abort(grpc.StatusCode.UNAVAILABLE, "that is all")

    async with serving(updates) as address:
        client = services.client(address, *batches, name="ours")
        logged = await until(lambda: client.events("update.processed"), lambda events: len(events) >= 10)
        processed = logged[:10]
        assert [event["price"] for event in processed] == [1, 2, 3, 4, 5] * 2
        assert {event["sequence"] for event in processed} == {0}
        assert {event["change_percent"] for event in processed} == {0.5}
        assert all(event["age_seconds"] > 0 for event in processed)
        for name in ("missed", "dropped", "repeated"):
            assert await metric(client, f"stock_client_{name}_updates_total") == 0, name
        assert len(client.events("stream.without_batches")) == len(batches)
        assert await metric(client, "stock_updates_received_total") >= len(logged)
        assert await asyncio.to_thread(client.stop) == 0
        assert client.errors() == ""


HOSTILE_STREAMS = {
    "no message of any type": [b"\xff\xff\xff\xff"],
    "all fields at their defaults": [b""],
    "a timestamp that is none": [b"\x52\x09yesterday"],
    "one before any time zone": [b"\x52\x130001-01-01T00:00:00"],
    "one after": [b"\x52\x149999-12-31T23:59:59Z"],
    "a price that is not a number": [b"\x11\x00\x00\x00\x00\x00\x00\xf8\x7f"],
    "the largest number, then the first": [b"\x58\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", b"\x58\x01"],
    "a field that nobody knows": [b"\xfa\x7f\x03new"],
}


async def test_our_client_survives_whatever_a_server_may_send(services: Services):
    sent: list[str] = []
    hostile = iter(HOSTILE_STREAMS.items())

    async def updates(request: bytes, context: Any) -> AsyncIterator[bytes]:
        name, messages = next(hostile, ("an update", [b"\x0a\x04GOOD"]))
        sent.append(name)
        for message in messages:
            yield message

    async with serving(updates) as address:
        client = services.client(address, "--backoff-max-seconds", "0.1")

        def reads_on() -> bool:
            assert client.process.poll() is None, (sent[-2:], client.errors())
            return any(event["ticker"] == "GOOD" for event in client.events("update.processed"))

        await until(reads_on, what="an update after all the others")
        assert sent[: len(HOSTILE_STREAMS)] == list(HOSTILE_STREAMS)
        assert await asyncio.to_thread(client.stop) == 0
        assert "Traceback (most recent call last)" not in client.errors()


async def metric(client: Any, name: str, condition: Callable[[float], object] = lambda value: True) -> float:
    # in a thread, for the server that the client reads runs in this one
    return await asyncio.to_thread(client.metric_reaches, name, condition)
