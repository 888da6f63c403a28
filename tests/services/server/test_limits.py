"""Each limit: what who is beyond it is told, what is counted, and that nobody else notices."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest
from grpc_reflection.v1alpha.reflection_pb2_grpc import ServerReflectionStub

from stockservice.stock_pb2 import EmptyRequest
from stockservice.stock_pb2_grpc import StockServiceStub

from processes import Service, Services
from waiting import until_blocking

HITS = "stock_server_limits_hit_total"


def channel(server: Service) -> grpc.Channel:
    """Return a connection of its own."""
    return grpc.insecure_channel(server.address, options=[("grpc.use_local_subchannel_pool", 1)])


def named(name: str) -> tuple[tuple[str, str], ...]:
    return (("flowcontrol-client-name", name),)


def status_of(call: Any) -> tuple[grpc.StatusCode, str]:
    """Return how a stream ends that does not begin."""
    with pytest.raises(grpc.RpcError) as ended:
        next(call)
    return ended.value.code(), ended.value.details()


def test_streams_of_one_client(services: Services) -> None:
    server = services.server("--max-streams-per-client", "2")
    with channel(server) as greedy, channel(server) as other:
        stub = StockServiceStub(greedy)
        first, second = (stub.GetUpdates(EmptyRequest(), metadata=named("greedy")) for _ in range(2))
        assert next(first).sequence == next(second).sequence == 1
        code, details = status_of(stub.GetUpdates(EmptyRequest(), metadata=named("greedy")))
        assert (code, details) == (
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            "the client 'greedy' has its 2 streams open already",
        )
        assert next(StockServiceStub(other).GetUpdates(EmptyRequest(), metadata=named("other"))).sequence == 1
        assert server.metric(HITS, limit="client_streams") == 1

        first.cancel()
        again = until_blocking(
            lambda: next(stub.GetUpdates(EmptyRequest(), metadata=named("greedy"))).sequence, retry_on=grpc.RpcError
        )
        assert again == 1


def test_streams_in_all(services: Services) -> None:
    server = services.server("--max-streams", "1")
    with channel(server) as connection:
        stub = StockServiceStub(connection)
        first = stub.GetUpdates(EmptyRequest())
        next(first)
        code, _ = status_of(stub.GetUpdates(EmptyRequest()))
        assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert next(first).sequence == 2
    assert server.metric(HITS, limit="streams") == 1


def test_metadata(services: Services) -> None:
    server = services.server("--max-metadata-bytes", "2048")
    with channel(server) as connection:
        stub = StockServiceStub(connection)
        assert next(stub.GetUpdates(EmptyRequest(), metadata=(("padding", "x" * 1_500),))).sequence == 1
        code, details = status_of(stub.GetUpdates(EmptyRequest(), metadata=(("padding", "x" * 2_500),)))
        assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert details.endswith("bytes of metadata; the most is 2048")
        assert server.metric(HITS, limit="metadata") == 1

        code, details = status_of(stub.GetUpdates(EmptyRequest(), metadata=(("padding", "x" * 10_000),)))
        assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "metadata size exceeds hard limit" in details


def test_the_size_of_a_request(services: Services) -> None:
    server = services.server("--max-request-bytes", "1024")
    with channel(server) as connection:
        send: Callable[..., Any] = connection.unary_stream("/stockservice.StockService/GetUpdates")
        # field 15 is not one of the request's, and so is passed over
        assert next(send(b"\x7a\xf4\x03" + bytes(500)))
        code, details = status_of(send(b"\x7a\xd0\x0f" + bytes(2_000)))
    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "message larger than max" in details


def test_connections(services: Services) -> None:
    server = services.server("--max-connections", "2")
    open_ones = [channel(server) for _ in range(2)]
    streams = [StockServiceStub(each).GetUpdates(EmptyRequest()) for each in open_ones]
    assert [next(stream).sequence for stream in streams] == [1, 1]
    with channel(server) as third:
        code, _ = status_of(StockServiceStub(third).GetUpdates(EmptyRequest()))
        assert code is grpc.StatusCode.UNAVAILABLE
        assert [next(stream).sequence for stream in streams] == [2, 2]

        open_ones[0].close()
        next_one = until_blocking(
            lambda: next(StockServiceStub(third).GetUpdates(EmptyRequest())).sequence, retry_on=grpc.RpcError
        )
        assert next_one == 1
    open_ones[1].close()


@pytest.mark.parametrize("processing", ["none", "0.1"])
def test_an_old_stream_ends_with_its_last_update_and_its_client_comes_back(services: Services, processing: str) -> None:
    server = services.server("--max-connection-age-seconds", "2", "--update-interval-seconds", "0.05")
    flags = ("--processing", processing, "--window-bytes", "16384")
    client = services.client(server.address, *flags)
    end = client.event("stream.end")
    assert end["reason"] == "UNAVAILABLE: the stream has lasted for 2 s; open another one"
    client.event("stream.resume.complete")
    assert server.metric(HITS, limit="age") >= 1
    assert client.metric("stock_client_missed_updates_total") == 0
    # all that was sent on streams that have ended has come
    assert client.stop() == 0
    closed = until_blocking(lambda: server.metric("flowcontrol_server_streams"), lambda count: count == 0)
    assert closed == 0
    assert server.stop(signal.SIGTERM) == 0
    assert server.errors() == client.errors() == ""


def test_an_idle_connection_is_closed_and_one_with_a_stream_is_not(services: Services) -> None:
    server = services.server("--max-connection-idle-seconds", "1")
    states: list[grpc.ChannelConnectivity] = []
    with channel(server) as idle, channel(server) as busy:
        idle.subscribe(states.append)
        stream = StockServiceStub(busy).GetUpdates(EmptyRequest())
        next(stream)
        brief = StockServiceStub(idle).GetUpdates(EmptyRequest())
        next(brief)
        until_blocking(lambda: grpc.ChannelConnectivity.READY in states)  # told by a thread of grpc's own
        brief.cancel()
        until_blocking(lambda: grpc.ChannelConnectivity.IDLE in states[states.index(grpc.ChannelConnectivity.READY) :])
        assert next(stream).sequence == 2


@pytest.mark.parametrize(("setting", "method"), [("reflection", "reflection"), ("channelz", "channelz")])
def test_what_tells_strangers_of_the_server_can_be_left_out(services: Services, setting: str, method: str) -> None:
    methods = {
        "reflection": "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        "channelz": "/grpc.channelz.v1.Channelz/GetServers",
    }
    server = services.server(f"--no-{setting}")
    with channel(server) as connection:
        call = connection.stream_stream(methods[method])(iter([b""]))
        assert status_of(call)[0] is grpc.StatusCode.UNIMPLEMENTED
        if setting == "channelz":
            assert not any("channelz" in name for name in services_listed(connection))


def services_listed(connection: grpc.Channel) -> list[str]:
    request = ServerReflectionRequest(list_services="")
    (answer,) = ServerReflectionStub(connection).ServerReflectionInfo(iter([request]))
    return [service.name for service in answer.list_services_response.service]


def test_a_client_follows_so_many_tickers_and_no_more(services: Services) -> None:
    tickers = ",".join(f"T{number}" for number in range(20))
    server = services.server("--tickers", tickers)
    client = services.client(server.address, "--max-tickers", "5")
    client.metric_reaches("stock_client_unfollowed_updates_total", lambda count: count >= 30)
    assert client.metric("stock_client_missed_updates_total") == 0
    assert client.stop() == 0
    assert len(client.events("stream.unfollowed")) == 1


def test_a_client_takes_no_update_that_is_too_large(services: Services) -> None:
    server = services.server("--padding-bytes", "5000")
    client = services.client(server.address, "--max-update-bytes", "2000")
    reason = client.event("stream.end")["reason"]
    assert reason.startswith("RESOURCE_EXHAUSTED: ")
    assert "CLIENT: Received message larger than max (5101 vs. 2000)" in reason
