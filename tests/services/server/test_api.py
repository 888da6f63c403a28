"""What a running server answers beside the stock stream, and whom it refuses."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import grpc
import pytest
from grpc_channelz.v1 import channelz_pb2, channelz_pb2_grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from flowcontrol import FlowControlClientInterceptor, Window
from flowcontrol.identity import CLIENT_NAME_KEY
from stockservice.stock_pb2 import EmptyRequest
from stockservice.stock_pb2_grpc import StockServiceStub

from processes import Service, running_services
from waiting import until_blocking

MAX_STREAMS = 3


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Service]:
    with running_services(tmp_path_factory.mktemp("server")) as services:
        server = services.server("--max-streams", str(MAX_STREAMS), "--update-interval-seconds", "0.01")
        server.event("server.start.complete")
        yield server


@pytest.fixture
def channel(server: Service) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(server.address) as channel:
        yield channel


@pytest.mark.parametrize("service", ["", "stockservice.StockService"])
def test_health_is_serving(channel, service):
    answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=service))
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_health_of_what_is_not_here(channel):
    with pytest.raises(grpc.RpcError) as failure:
        health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service="none"))
    assert failure.value.code() is grpc.StatusCode.NOT_FOUND


def test_a_watch_tells_of_a_service_that_is_not_here(channel):
    watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service="none"))
    assert next(watch).status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
    watch.cancel()


def test_health_lists_all_services(channel):
    listed = health_pb2_grpc.HealthStub(channel).List(health_pb2.HealthListRequest())
    serving = health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.SERVING)
    assert dict(listed.statuses) == {"": serving, "stockservice.StockService": serving}


@pytest.mark.parametrize(
    "symbol",
    [
        "stockservice.StockService",
        "stockservice.StockService.GetUpdates",
        "stockservice.StockUpdate",
        "stockservice.StockUpdate.price",
    ],
)
def test_reflection_finds_the_file_of_each_symbol(channel, symbol):
    described = ProtoReflectionDescriptorDatabase(channel).FindFileContainingSymbol(symbol)
    assert described.package == "stockservice"


@pytest.mark.parametrize(
    "symbol", ["", ".", "GetUpdates", "stockservice.StockService.None", "stockservice.None.GetUpdates", "a..b"]
)
def test_reflection_does_not_find_what_is_not_there(channel, symbol):
    with pytest.raises(KeyError):
        ProtoReflectionDescriptorDatabase(channel).FindFileContainingSymbol(symbol)


def test_reflection_names_all_services_and_describes_the_stock_service(channel):
    database = ProtoReflectionDescriptorDatabase(channel)
    assert set(database.get_services()) == {
        "stockservice.StockService",
        "grpc.health.v1.Health",
        "grpc.channelz.v1.Channelz",
        "grpc.reflection.v1alpha.ServerReflection",
    }
    described = database.FindFileContainingSymbol("stockservice.StockService")
    (service,) = described.service
    methods = {method.name: (method.client_streaming, method.server_streaming) for method in service.method}
    assert methods["GetUpdates"] == (False, True)


def test_channelz_knows_the_server_and_its_sockets(server, channel):
    stub = channelz_pb2_grpc.ChannelzStub(channel)
    (described,) = stub.GetServers(channelz_pb2.GetServersRequest()).server
    assert described.data.calls_started > 0
    sockets = stub.GetServerSockets(channelz_pb2.GetServerSocketsRequest(server_id=described.ref.server_id))
    assert len(sockets.socket_ref) >= 1


def test_streams_of_health_and_reflection_are_nobodys_at_the_server(server, channel):
    watches = [health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest()) for _ in range(3)]
    for watch in watches:
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
    ProtoReflectionDescriptorDatabase(channel).get_services()
    for service in ("Health/Watch", "ServerReflection"):
        assert service not in server.page()
    for watch in watches:
        watch.cancel()


async def test_a_watch_is_no_stream_of_the_client_that_measures_its_own(server):
    interceptor = FlowControlClientInterceptor("watcher", Window())
    async with grpc.aio.insecure_channel(server.address, interceptors=interceptor.interceptors) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
        assert not interceptor.ledger.statement().accounts
        watch.cancel()


def test_streams_beyond_the_most_are_refused_and_room_is_given_again(server, channel):
    stub = StockServiceStub(channel)
    metadata = ((CLIENT_NAME_KEY, "many"),)
    calls = [stub.GetUpdates(EmptyRequest(), metadata=metadata) for _ in range(MAX_STREAMS)]
    for call in calls:
        assert next(call).ticker == "AAPL"
    with pytest.raises(grpc.RpcError, match=f"{MAX_STREAMS} streams open") as failure:
        next(stub.GetUpdates(EmptyRequest(), metadata=metadata))
    assert failure.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    calls.pop().cancel()
    server.metric_reaches("flowcontrol_server_streams", lambda streams: streams == MAX_STREAMS - 1, client="many")
    calls.append(stub.GetUpdates(EmptyRequest(), metadata=metadata))
    assert next(calls[-1]).sequence == 1
    for call in calls:
        call.cancel()
    server.metric_reaches("flowcontrol_server_streams", lambda streams: streams == 0, client="many")


def test_bad_requests_and_metadata_are_answered_and_the_server_goes_on(server, channel):
    raw = channel.unary_stream("/stockservice.StockService/GetUpdates")
    for metadata in [
        ((CLIENT_NAME_KEY, "no name"),),
        (("flowcontrol-stream-id", "-5"), ("flowcontrol-window-bytes", "many")),
        ((CLIENT_NAME_KEY + "-bin", b"\x00\xff"),),
    ]:
        call = raw(b"", metadata=metadata)
        assert next(call)
        call.cancel()
    with pytest.raises(grpc.RpcError):
        next(raw(b"\xff\xff\xff"))
    with pytest.raises(grpc.RpcError) as failure:
        channel.unary_unary("/stockservice.StockService/None")(b"")
    assert failure.value.code() is grpc.StatusCode.UNIMPLEMENTED
    call = StockServiceStub(channel).GetUpdates(EmptyRequest())
    assert next(call).sequence == 1
    call.cancel()
    until_blocking(lambda: server.metric("flowcontrol_server_streams"), lambda streams: streams == 0)
    assert "Traceback" not in server.errors()


def test_the_first_update_waits_for_the_initial_delay(tmp_path):
    with running_services(tmp_path) as services:
        server = services.server("-i", "0.6", "--update-interval-seconds", "0.01")
        client = services.client(server.address)
        opened_at = client.event("client.start.complete")["timestamp"]
        first_at = client.event("update.processed")["timestamp"]
        assert (datetime.fromisoformat(first_at) - datetime.fromisoformat(opened_at)).total_seconds() > 0.55


def test_the_originals_counter_has_no_labels(server):
    assert server.metric("stock_updates_sent_total") > 0
    assert server.metric("stock_server_stream_limit") == MAX_STREAMS
