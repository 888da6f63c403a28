"""A connection that is dead without a word is given up by its client, whatever the client does with its stream."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from processes import Service, Services, free_port, running_services
from waiting import until_blocking

PINGS = ("--keepalive-time-seconds", "1", "--keepalive-timeout-seconds", "1")
FLOOD = ("--update-interval-seconds", "0", "--padding-bytes", "1000")

READERS = {
    "fast": (),
    "slow": ("--processing", "0.5"),
    "stalled": ("--processing", "0@1,stopped"),
    "stopped": ("--processing", "stopped"),
}


@dataclass(frozen=True)
class Scene:
    """A server, and clients of each kind that it has just had streams of."""

    server: Service
    clients: dict[str, Service]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with running_services(tmp_path_factory.mktemp("keepalive")) as services:
        server = services.server("--update-interval-seconds", "0.01", "--padding-bytes", "1000")
        clients = {
            name: services.client(server.address, *PINGS, "--no-log-updates", *how, name=name)
            for name, how in READERS.items()
        }
        for name in READERS:
            server.metric_reaches("flowcontrol_server_sent_messages_total", lambda sent: sent > 50, client=name)
        yield Scene(server, clients)


def streams(server: Service) -> dict[str, float]:
    return {name: server.metric("flowcontrol_server_streams", client=name) for name in READERS}


def test_a_server_that_hangs_is_given_up_and_come_back_to_by_readers_of_any_kind(scene: Scene):
    """Its kernel keeps the connections, and takes new ones: only pings find out."""
    scene.server.send(signal.SIGSTOP)
    for client in scene.clients.values():
        assert "ping timeout" in client.event("stream.end")["reason"]
    scene.server.send(signal.SIGCONT)
    for client in scene.clients.values():
        client.metric_reaches("stock_client_without_stream_seconds", lambda seconds: seconds == 0)
    until_blocking(lambda: streams(scene.server), lambda now: set(now.values()) == {1}, what="a stream of each")


def test_a_client_that_reads_nothing_comes_back_to_a_server_that_was_started_anew(services: Services):
    """The end of its stream lies behind what it does not read."""
    port = free_port()
    first = services.server(*FLOOD, "--grace-seconds", "0", grpc_port=port)
    client = services.client(first.address, "--processing", "stopped", name="stopped")
    first.metric_reaches("flowcontrol_server_write_blocked_now_seconds", lambda seconds: seconds > 0.2)
    assert first.stop() == 0
    assert "while nothing was read" in client.event("stream.end")["reason"]
    second = services.server(*FLOOD, grpc_port=port)
    second.metric_reaches("flowcontrol_server_streams", lambda streams: streams == 1)


def test_a_client_that_is_held_back_may_ping(services: Services):
    server = services.server(*FLOOD)
    services.client(server.address, *PINGS, "--processing", "stopped", name="held")
    # by grpc's own rule the fourth ping would be one too many
    server.metric_reaches("flowcontrol_server_write_blocked_now_seconds", lambda seconds: seconds > 5.5, client="held")
    assert server.metric("flowcontrol_server_streams_opened_total", client="held") == 1


def test_a_client_that_pings_more_often_than_it_may_is_sent_away(services: Services):
    server = services.server(*FLOOD, "--min-ping-interval-seconds", "60")
    services.client(server.address, *PINGS, "--processing", "stopped", name="eager")
    server.metric_reaches("flowcontrol_server_streams_opened_total", lambda opened: opened > 0, client="eager")
    server.metric_reaches("flowcontrol_server_streams", lambda streams: streams == 0, client="eager")
