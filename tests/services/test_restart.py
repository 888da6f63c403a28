"""What becomes of streams and counts when either end is killed, hangs or goes away."""

from __future__ import annotations

import signal
from datetime import datetime
from typing import Any

import pytest

from processes import Service, Services, free_port
from waiting import until_blocking

SENT = "flowcontrol_server_open_streams_sent_messages"
RECEIVED = "flowcontrol_client_open_streams_received_messages"
STREAMS = "flowcontrol_server_streams"
BLOCKED = "flowcontrol_server_write_blocked_now_seconds"
GET_UPDATES = "stockservice.StockService/GetUpdates"

FLOOD = ("--update-interval-seconds", "0", "--padding-bytes", "1000")


def books_balance(server: Service, client: Service) -> None:
    """Wait until both ends mean the same stream, and what one has sent the other has received.

    Both go on counting, so each is asked before or after the other, whichever must not have less.
    """

    def received() -> tuple[float, ...]:
        return client.metrics("flowcontrol_client_stream_ids", RECEIVED)

    stream_id, received_before = until_blocking(received, lambda state: state[1] > 3, what="updates on a stream")
    server.metric_reaches("flowcontrol_server_stream_ids", lambda open_id: open_id == stream_id)
    sent = server.metric(SENT)
    assert sent >= received_before
    until_blocking(received, lambda state: state[0] == stream_id and state[1] >= sent, what=f"all {sent} received")


def seconds_between(earlier: dict[str, Any], later: dict[str, Any]) -> float:
    before, after = (datetime.fromisoformat(event["timestamp"]) for event in (earlier, later))
    return (after - before).total_seconds()


def processed_sequences(client: Service) -> list[int]:
    return [event["sequence"] for event in client.events("update.processed")]


def test_a_server_killed_and_started_again(services: Services):
    port = free_port()
    first = services.server("--update-interval-seconds", "0.05", grpc_port=port)
    client = services.client(first.address)
    books_balance(first, client)

    first.stop(signal.SIGKILL)
    client.event("stream.end")
    second = services.server("--update-interval-seconds", "0.05", grpc_port=port)
    started = second.event("server.start.complete")
    resumed = client.event("stream.resume.complete")
    assert seconds_between(started, resumed) < 5
    books_balance(second, client)

    assert client.metric("stock_client_gap_seconds_total") == pytest.approx(resumed["gap_seconds"], abs=0.01)
    assert 0 < resumed["gap_seconds"] < seconds_between(client.event("client.start.complete"), resumed)
    assert client.metric("stock_client_reconnects_total") == len(client.events("stream.end")) >= 1
    assert client.metric("stock_client_missed_updates_total") == 0
    received, on_this_stream = client.metrics("flowcontrol_client_received_messages_total", RECEIVED)
    assert received == resumed["last_sequence"] + on_this_stream, "the counts go on across streams"

    assert client.stop() == 0
    sequences = processed_sequences(client)
    before, after = resumed["last_sequence"], sequences[-1]
    assert sequences == [*range(1, before + 1), *range(1, after + 1)], "each stream whole and in order"
    assert client.event("client.stop.complete")["updates"] in (before + after, before + after + 1)
    assert (resumed["first_sequence"], resumed["same_source"]) == (1, False)


def test_a_client_killed_while_held_back(services: Services):
    server = services.server(*FLOOD)
    client = services.client(server.address, "--processing", "stopped", name="stopped")
    server.metric_reaches(BLOCKED, lambda seconds: seconds > 0.2, client="stopped")
    client.stop(signal.SIGKILL)
    server.metric_reaches(STREAMS, lambda streams: streams == 0, client="stopped")
    assert server.metric(BLOCKED, client="stopped") == 0


def test_a_client_that_hangs_while_held_back_is_given_up(services: Services):
    """It answers no ping, and its kernel keeps the connection: only keepalive finds out."""
    server = services.server(*FLOOD, "--keepalive-time-seconds", "1", "--keepalive-timeout-seconds", "1")
    client = services.client(server.address, "--processing", "stopped", name="hung")
    server.metric_reaches(BLOCKED, lambda seconds: seconds > 0.2, client="hung")
    client.send(signal.SIGSTOP)
    server.metric_reaches(STREAMS, lambda streams: streams == 0, within_seconds=20, client="hung")
    assert server.process.poll() is None


def test_a_client_that_is_held_back_and_alive_is_not_given_up(services: Services):
    server = services.server(*FLOOD, "--keepalive-time-seconds", "1", "--keepalive-timeout-seconds", "1")
    services.client(server.address, "--processing", "stopped", name="alive")
    # two pings and more
    server.metric_reaches(BLOCKED, lambda seconds: seconds > 3.5, client="alive")
    assert server.metric("flowcontrol_server_streams_opened_total", client="alive") == 1


def test_a_client_that_is_killed_and_started_again_has_one_stream(services: Services):
    server = services.server("--update-interval-seconds", "0.05")
    client = services.client(server.address, name="again")
    books_balance(server, client)
    client.stop(signal.SIGKILL)
    client = services.client(server.address, name="again")
    books_balance(server, client)
    labels = {"client": "again", "method": GET_UPDATES}
    assert server.metric(STREAMS, **labels) == 1
    assert server.metric("flowcontrol_server_streams_opened_total", **labels) == 2
    sent = server.metric("flowcontrol_server_sent_messages_total", **labels)
    assert sent > server.metric(SENT, **labels) - 2, "the counts go on across streams"
    assert server.metric("stock_updates_sent_total") >= sent


def test_a_client_goes_over_to_another_address_of_its_server(services: Services):
    """Two servers on one port number, at two addresses, as a name with two addresses in DNS would give."""
    port = free_port("127.0.0.1", "127.0.0.2")
    servers = [
        services.server("--update-interval-seconds", "0.05", host=f"127.0.0.{n}", grpc_port=port) for n in (1, 2)
    ]
    for server in servers:
        server.event("server.start.complete")
    client = services.client(f"ipv4:///127.0.0.1:{port},127.0.0.2:{port}")
    client.metric_reaches("stock_updates_received_total", lambda updates: updates >= 3)
    (serving,) = [server for server in servers if server.metric(STREAMS) == 1]
    serving.stop(signal.SIGKILL)
    client.event("stream.resume.complete")
