from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from processes import Service, Services, clean_environment
from waiting import until_blocking


def ask(package: str, **settings: object) -> tuple[int, str]:
    """Return the exit status and the complaint of a health check with these settings in its environment."""
    variables = {f"{package}_{name}".upper(): str(value) for name, value in settings.items()}
    done = subprocess.run(
        [sys.executable, "-c", f"from {package}.healthcheck import main; main()"],
        env=clean_environment() | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr


def ask_server(server: Service, **settings: object) -> tuple[int, str]:
    return ask("stock_server", grpc_port=server.grpc_port, **settings)


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_a_server_that_serves_is_healthy(services: Services, host: str):
    assert ask_server(services.server(), host=host) == (0, "")


def test_a_server_that_drains_is_not(services: Services):
    server = services.server("--drain-delay-seconds", "10")
    port = server.grpc_port
    server.send(signal.SIGTERM)
    server.event("server.drain.started")
    status, complaint = until_blocking(lambda: ask_server(server), lambda answer: answer[0] == 1)
    assert (status, complaint) == (1, f"stock-server-health: 127.0.0.1:{port}: NOT_SERVING\n")


def test_a_server_that_is_not_there_is_not(services: Services):
    server = services.server()
    port = server.grpc_port
    server.stop()
    status, complaint = ask_server(server)
    assert status == 1
    assert complaint.startswith(f"stock-server-health: 127.0.0.1:{port}: UNAVAILABLE")
    assert len(complaint.splitlines()) == 1


def test_a_client_whose_metrics_port_answers_is_healthy(services: Services):
    client = services.client("127.0.0.1:1")  # nobody serves there: the client tries again for ever, and is healthy
    assert ask("stock_client", metrics_port=client.metrics_port) == (0, "")


def test_a_client_that_is_not_there_is_not(services: Services):
    client = services.client("127.0.0.1:1")
    port = client.metrics_port
    client.stop()
    status, complaint = ask("stock_client", metrics_port=port)
    assert status == 1
    assert complaint.startswith(f"stock-client-health: /metrics on port {port}: ")


def test_an_answer_that_is_no_metrics_page_is_not_healthy(services: Services):
    status, complaint = ask("stock_client", metrics_port=services.server().grpc_port)
    assert status == 1
    assert "/metrics on port" in complaint
