"""A client that goes while its stream is held back ends the stream, and is no error: the server's log has none."""

from __future__ import annotations

import signal

import pytest

from processes import Services

BLOCKED = "flowcontrol_server_write_blocked_now_seconds"
WAYS = {"single": (), "batches": ("--batches",)}


@pytest.mark.parametrize("policy", ["pause", "drop-oldest"])
def test_clients_that_are_killed_while_they_stall_leave_no_traceback(services: Services, policy: str):
    server = services.server("--update-interval-seconds", "0.001", "--policy", policy)
    stalls = ("--processing", "3600", "--window-bytes", "16384")
    clients = [services.client(server.address, *stalls, *way, name=name) for name, way in WAYS.items()]
    for name in WAYS:
        server.metric_reaches(
            "flowcontrol_server_write_blocked_now_seconds", lambda seconds: seconds > 0.2, client=name
        )
    for client in clients:
        client.stop(signal.SIGKILL)
    server.metric_reaches("flowcontrol_server_streams", lambda streams: streams == 0)
    assert server.stop() == 0
    assert server.tracebacks() == []
