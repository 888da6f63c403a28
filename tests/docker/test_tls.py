"""The stack with `compose.tls.yaml`: everybody knows everybody by certificates that `lab certs` has made."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from waiting import until_blocking

pytestmark = [pytest.mark.docker, pytest.mark.timeout(420)]

SERVICES = ("server", "client", "slow-client", "prometheus")


def make_certificates(folder: Path) -> None:
    subprocess.run([sys.executable, "-m", "lab", "certs", "--out", str(folder)], check=True, capture_output=True)


@pytest.fixture
def project(compose: Any, images: dict[str, Any], tmp_path: Path) -> Iterator[Any]:
    """Another project, with TLS."""
    project = type(compose)(tmp_path / ".env")
    project.project += "-tls"
    project.files = ("compose.yaml", "compose.tls.yaml")
    project.configure({"GRPC_PORT": "0", "PROMETHEUS_PORT": "0", "CERTS": str(tmp_path / "certs")})
    try:
        yield project
    finally:
        project("down", "--volumes", "--timeout", "5", check=False)


def test_it_runs_is_healthy_is_scraped_and_takes_new_certificates(project: Any, tmp_path: Path) -> None:
    make_certificates(tmp_path / "certs")
    project("up", "--detach", "--wait", *SERVICES)  # waits for the health checks, which are made over TLS

    def ask(query: str) -> list[Any]:
        address = project("port", "prometheus", "9090").strip()
        answer = httpx.get(f"http://{address}/api/v1/query", params={"query": query}, timeout=10)
        return list(answer.raise_for_status().json()["data"]["result"])

    def names() -> set[str]:
        streams = ask("flowcontrol_server_streams == 1")
        return {stream["metric"]["client"].rpartition("-")[0] for stream in streams}

    until_blocking(names, lambda names: names == {"client", "slow-client"}, within_seconds=60, every_seconds=0.5)
    until_blocking(
        lambda: [each["value"][1] for each in ask("up")], lambda up: up == ["1", "1", "1"], within_seconds=60
    )

    # nobody who has no certificate gets anything
    plain = project("exec", "-T", "client", "python", "-c", WITHOUT_CERTIFICATE)
    assert plain.split() == ["refused", "refused"]

    before = project.containers()["server-1"]["State"]["StartedAt"]
    make_certificates(tmp_path / "certs")
    project("restart", "client")
    until_blocking(lambda: "tls.reload.complete" in project("logs", "server"), within_seconds=60, every_seconds=0.5)
    project("up", "--detach", "--wait", *SERVICES)
    assert project.containers()["server-1"]["State"]["StartedAt"] == before
    assert "stream.end" not in project("logs", "slow-client"), "its stream went on"


WITHOUT_CERTIFICATE = """
import socket, ssl
for port in (4444, 2112):
    context = ssl._create_unverified_context()
    context.set_alpn_protocols(["h2"])
    try:
        with context.wrap_socket(socket.create_connection(("server", port))) as tls:
            tls.sendall(b"GET /metrics HTTP/1.0\\r\\n\\r\\n")
            print("answered" if tls.recv(1) else "refused")
    except OSError:
        print("refused")
"""


def test_without_certificates_it_does_not_start_and_says_what_is_missing(project: Any, tmp_path: Path) -> None:
    # of the two folders that it needs, the engine names any one
    with pytest.raises(AssertionError, match=f"does not exist: {tmp_path}/certs/(server|metrics)"):
        project("up", "--detach", "--no-deps", "server")
