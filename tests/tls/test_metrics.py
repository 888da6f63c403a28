"""TLS on the metrics ports, and health checks of services that speak TLS."""

from __future__ import annotations

import signal
import socket
import ssl
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from certificates import Authority, Pair
from processes import Service, Services, ask_health
from waiting import until_blocking


def trusting(authority: Authority, pair: Pair | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(authority.file))
    context.verify_flags |= ssl.VERIFY_X509_STRICT  # as Python does by itself from 3.13 on
    if pair is not None:
        context.load_cert_chain(pair.certificate, pair.key)
    return context


def scrape(service: Service, context: ssl.SSLContext) -> str:
    with httpx.Client(verify=context, trust_env=False) as http:
        return http.get(f"https://127.0.0.1:{service.metrics_port}/metrics").raise_for_status().text


def services_of(services: Services, flags: tuple[str, ...]) -> list[Service]:
    return [services.server(*flags), services.client("127.0.0.1:1", *flags)]


def test_whoever_trusts_the_authority_scrapes(services: Services, made: Any, tmp_path: Path) -> None:
    for service in services_of(services, made.server.flags("--metrics-tls")):
        assert "python_info" in scrape(service, trusting(made.authority))
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            scrape(service, trusting(Authority(tmp_path, "other")))
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.get(f"http://127.0.0.1:{service.metrics_port}/metrics", trust_env=False)
        assert "python_info" in scrape(service, trusting(made.authority))
        assert service.errors() == ""


def test_with_authorities_of_its_own_only_who_has_a_certificate_scrapes(services: Services, made: Any) -> None:
    flags = (*made.server.flags("--metrics-tls"), "--metrics-tls-client-ca", str(made.authority.file))
    for service in services_of(services, flags):
        assert "python_info" in scrape(service, trusting(made.authority, made.client))
        with pytest.raises(httpx.TransportError):
            scrape(service, trusting(made.authority))
        assert service.errors() == ""


def test_a_connection_that_says_nothing_keeps_nobody_waiting(services: Services, made: Any) -> None:
    server = services.server(*made.server.flags("--metrics-tls"))
    with socket.create_connection(("127.0.0.1", server.metrics_port)):
        assert "python_info" in scrape(server, trusting(made.authority))


def test_new_files_are_taken_without_a_restart(services: Services, made: Any, tmp_path: Path) -> None:
    server = services.server(*made.server.flags("--metrics-tls"))
    scrape(server, trusting(made.authority))
    new = Authority(tmp_path, "new")
    made.server.replace_with(new.issue("new", "new", "127.0.0.1"))
    assert "python_info" in scrape(server, trusting(new))
    made.server.certificate.write_text("")
    assert "python_info" in scrape(server, trusting(new))
    assert server.event("tls.reload.failed")["setting"] == "metrics_tls_certificate"


def test_when_certificates_end_is_told_and_a_new_one_shows_without_a_connection(services: Services, made: Any) -> None:
    server = services.server(*made.server.flags())

    def days() -> float:
        ends = server.metric("tls_certificate_expiry_timestamp_seconds", setting="tls_certificate")
        return (ends - time.time()) / 86_400

    assert 0.9 < days() < 1
    made.server.replace_with(made.authority.issue("longer", "server", "127.0.0.1", days=5))
    until_blocking(days, lambda days: 4.9 < days < 5)


def test_health_checks_go_by_the_same_files(services: Services, made: Any, tmp_path: Path) -> None:
    server = services.server(*made.server_flags)
    client = services.client(server.address, *made.client_flags, *made.client.flags("--metrics-tls"))
    of_server = variables(made.server, tls_client_ca=made.authority.file, grpc_port=server.grpc_port)
    assert ask_health("stock_server", **of_server) == (0, "")
    of_client = {"metrics_port": client.metrics_port, **variables(made.client, "metrics_tls")}
    until_blocking(lambda: ask_health("stock_client", **of_client), lambda answer: answer == (0, ""))

    stranger = Authority(tmp_path, "other").issue("other", "other", "localhost")
    status, complaint = ask_health("stock_server", **variables(stranger, grpc_port=server.grpc_port))
    assert status == 1
    assert complaint.startswith(f"stock-server-health: 127.0.0.1:{server.grpc_port}: UNAVAILABLE")
    assert complaint.count("\n") == 1


def test_the_servers_metrics_port_tells_that_it_drains(services: Services, made: Any) -> None:
    server = services.server(*made.server.flags("--metrics-tls"), "--drain-delay-seconds", "30")
    port = server.metrics_port
    context = trusting(made.authority)

    def status() -> int:
        return httpx.get(f"https://127.0.0.1:{port}/ready", verify=context, trust_env=False).status_code

    assert status() == 200
    server.send(signal.SIGTERM)
    until_blocking(status, lambda status: status == 503)


def variables(pair: Pair, prefix: str = "tls", **more: object) -> dict[str, object]:
    return {f"{prefix}_certificate": pair.certificate, f"{prefix}_key": pair.key, **more}
