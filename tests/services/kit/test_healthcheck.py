from __future__ import annotations

import signal
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from servicekit.healthcheck import local_host, readiness_problem

from processes import Services, ask_health
from waiting import until_blocking


def test_a_server_is_healthy_until_it_drains(services: Services):
    server = services.server("--drain-delay-seconds", "30")
    port = server.grpc_port
    assert ask_health("stock_server", grpc_port=port) == (0, "")

    server.send(signal.SIGTERM)
    server.event("server.drain.started")
    drains = (1, f"stock-server-health: 127.0.0.1:{port}: NOT_SERVING\n")
    until_blocking(lambda: ask_health("stock_server", grpc_port=port), lambda answer: answer == drains)

    server.stop(signal.SIGKILL)
    status, complaint = ask_health("stock_server", grpc_port=port)
    assert status == 1
    assert complaint.startswith(f"stock-server-health: 127.0.0.1:{port}: UNAVAILABLE")
    assert len(complaint.splitlines()) == 1


def test_a_client_is_healthy_while_its_metrics_port_answers(services: Services):
    client = services.client("127.0.0.1:1")  # nobody serves there: it tries again for ever
    port = client.metrics_port
    assert ask_health("stock_client", metrics_port=port) == (0, "")

    client.stop()
    status, complaint = ask_health("stock_client", metrics_port=port)
    assert status == 1
    assert complaint.startswith(f"stock-client-health: /ready on port {port}: ")


@pytest.mark.parametrize(
    ("server_takes", "client_wants", "reason"),
    [
        (["--allowed-policies", "pause"], ["--policy", "conflate"], "PERMISSION_DENIED: conflate is not allowed here"),
        (["--max-streams", "1"], [], "RESOURCE_EXHAUSTED: the server has its 1 streams open already"),
    ],
)
def test_a_client_that_is_refused_is_unhealthy_after_a_time_and_says_why(
    services: Services, server_takes: list[str], client_wants: list[str], reason: str
):
    server = services.server(*server_takes)
    welcome = services.client(server.address, "--ready-within-seconds", "0.2", name="welcome")
    welcome.event("update.processed")
    refused = services.client(server.address, "--ready-within-seconds", "0.2", *client_wants, name="refused")
    port = refused.metrics_port
    status, complaint = until_blocking(
        lambda: ask_health("stock_client", metrics_port=port), lambda answer: answer[0] == 1
    )
    assert status == 1
    assert complaint.startswith("stock-client-health: no stream for ")
    assert "at most 0.2 s are allowed" in complaint
    assert reason in complaint
    assert len(complaint.splitlines()) == 1
    assert refused.metric("stock_client_without_stream_seconds", client="refused") > 0.2
    assert refused.metric("stock_client_stream_ends_total", code=reason.partition(":")[0]) > 0

    assert ask_health("stock_client", metrics_port=welcome.metrics_port) == (0, "")
    assert welcome.metric("stock_client_without_stream_seconds", client="welcome") == 0

    welcome.stop()
    server.stop(signal.SIGKILL)
    refused.metric_reaches("stock_client_stream_ends_total", bool, code="UNAVAILABLE")


@pytest.mark.parametrize("package", ["stock_server", "stock_client"])
def test_a_check_that_runs_every_5_seconds_imports_no_more_than_it_asks_with(package: str):
    script = f"import sys, {package}.healthcheck; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert {"pydantic", "prometheus_client", "structlog", "flowcontrol"}.isdisjoint(done.stdout.split())


class NothingHere(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_error(404)

    def log_message(self, *_: object) -> None:
        pass


def test_another_answer_is_none_of_ours():
    with HTTPServer(("127.0.0.1", 0), NothingHere) as server:
        thread = Thread(target=server.handle_request)
        thread.start()
        port = server.server_port
        assert readiness_problem("127.0.0.1", port) == f"/ready on port {port}: HTTP status 404"
        thread.join()


@pytest.mark.parametrize(
    ("listens_on", "reached_at"),
    [("0.0.0.0", "127.0.0.1"), ("::", "127.0.0.1"), ("::1", "[::1]"), ("10.1.2.3", "10.1.2.3")],
)
def test_a_service_is_reached_where_it_listens(listens_on: str, reached_at: str):
    assert local_host(listens_on) == reached_at
