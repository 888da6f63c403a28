"""A proxy in the environment, as a container engine may put there for all containers, is none of the services' own."""

from __future__ import annotations

import pytest

from stock_server.healthcheck import serving_problem

from processes import Services
from waiting import until_blocking

PROXY_THAT_IS_NOT_THERE = "http://127.0.0.1:9"


@pytest.mark.parametrize("variable", ["http_proxy", "https_proxy", "grpc_proxy"])
def test_neither_streams_nor_health_checks_go_through_it(services: Services, monkeypatch, variable: str) -> None:
    monkeypatch.setenv(variable, PROXY_THAT_IS_NOT_THERE)
    server = services.server()
    client = services.client(server.address)
    client.event("stream.open.complete")
    until_blocking(lambda: serving_problem(server.address), lambda problem: problem is None)
