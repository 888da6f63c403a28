"""A server at its limit of descriptors says so once, goes on with what it has, and recovers."""

from __future__ import annotations

import resource
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack

import grpc
import psutil
import pytest

from stockservice.stock_pb2 import EmptyRequest
from stockservice.stock_pb2_grpc import StockServiceStub

from processes import START_SECONDS, Services, clean_environment
from waiting import until_blocking

LIMIT = resource.RLIMIT_NOFILE


@pytest.mark.parametrize("port", ["grpc_port", "metrics_port"])
def test_a_server_without_descriptors_says_so_once_serves_on_and_recovers(services: Services, port: str):
    server = services.server("--update-interval-seconds", "0.01")
    connections = [("127.0.0.1", getattr(server, port))] * 30
    with grpc.insecure_channel(server.address) as channel:
        call = StockServiceStub(channel).GetUpdates(EmptyRequest())
        assert next(call).sequence == 1
        process = psutil.Process(server.process.pid)
        most = process.num_fds() + 10
        resource.prlimit(process.pid, LIMIT, (most, most))
        with ExitStack() as stack:
            for address in connections:
                stack.enter_context(socket.create_connection(address))
            assert server.event("descriptors.exhausted")["limit"] == most
            assert next(call).sequence > 1, "the open stream goes on"
        assert server.event("descriptors.recovered")["seconds"] > 0
        assert server.metric("stock_descriptor_shortages_total") >= 1
        with grpc.insecure_channel(server.address, options=[("of", "late")]) as late:
            assert next(StockServiceStub(late).GetUpdates(EmptyRequest(), timeout=START_SECONDS)).sequence == 1
        call.cancel()
    assert server.stop(signal.SIGTERM) == 0
    others = [event for event in server.events() if event["event"] == "library.log"]
    assert [event.get("text") or event for event in others] == []
    assert len(server.events("descriptors.exhausted")) <= 2, "connections that wait may take what the first have left"
    assert server.errors() == ""


@pytest.mark.parametrize("module", ["stock_server", "stock_client"])
def test_both_take_as_many_descriptors_as_they_may(module: str):
    ports = ["--metrics-port", "0", *(["--grpc-port", "0"] if module == "stock_server" else [])]
    command = ["sh", "-c", 'ulimit -Sn 128; exec "$@"', "sh", sys.executable, "-m", module, *ports]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=clean_environment()) as process:
        try:
            until_blocking(lambda: resource.prlimit(process.pid, LIMIT), lambda limits: limits[0] > 128)
        finally:
            process.kill()
