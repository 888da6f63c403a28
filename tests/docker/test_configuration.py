"""What `compose.yaml` makes of itself, as `docker compose config` tells; Grafana and its renderer included."""

from __future__ import annotations

import re
from typing import Any

import pytest

from servicekit.settings import load_settings
from stock_client.settings import ClientSettings

pytestmark = pytest.mark.docker

PROGRAMS = ("server", "client", "slow-client", "prometheus", "grafana", "renderer")
SERVICES = (*PROGRAMS, "renderer-token")


@pytest.fixture(scope="module")
def config(compose: Any) -> Any:
    return compose.config()


def test_these_are_the_services(config: Any):
    assert sorted(config["services"]) == sorted(SERVICES)


def test_every_published_port_is_on_the_loopback_address(config: Any):
    published = {
        name: [(port["host_ip"], port["published"]) for port in service.get("ports", [])]
        for name, service in config["services"].items()
    }
    assert {name: ports for name, ports in published.items() if ports} == {
        "server": [("127.0.0.1", "4444")],
        "prometheus": [("127.0.0.1", "9090")],
        "grafana": [("127.0.0.1", "3000")],
    }


@pytest.mark.parametrize("name", SERVICES)
def test_it_is_hardened_and_bounded(config: Any, name: str):
    service = config["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert re.fullmatch(r"[1-9][0-9]*:[0-9]+", service["user"])
    assert {"cpus", "memory", "pids"} <= service["deploy"]["resources"]["limits"].keys()
    assert service["logging"]["options"] == {"max-size": "10m", "max-file": "3"}


@pytest.mark.parametrize("name", PROGRAMS)
def test_it_comes_back_by_itself(config: Any, name: str):
    assert config["services"][name]["restart"] == "unless-stopped"


def test_only_grafana_reaches_the_renderer_and_the_renderer_only_grafana(config: Any):
    assert config["networks"]["rendering"]["internal"] is True
    assert list(config["services"]["renderer"]["networks"]) == ["rendering"]
    others = {name for name, service in config["services"].items() if "rendering" in service.get("networks", {})}
    assert others == {"renderer", "grafana"}


def test_grafana_waits_for_its_token_alone_and_needs_no_renderer(config: Any):
    waits_for = {name: each["condition"] for name, each in config["services"]["grafana"]["depends_on"].items()}
    assert waits_for == {"prometheus": "service_started", "renderer-token": "service_completed_successfully"}


def test_one_service_builds_each_image_and_none_is_pulled_that_is_built_here(config: Any):
    images: dict[str, list[str]] = {}
    for name, service in config["services"].items():
        images.setdefault(service["image"], []).append("builds" if "build" in service else "uses")
        ours = service["image"].startswith("backpressure-")
        assert service.get("pull_policy") == ("never" if ours else None), name
    assert sorted(images["backpressure-server"]) == ["builds"]
    assert sorted(images["backpressure-client"]) == ["builds", "uses"]


LOGIN = {
    "GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION": "false",
    "GF_AUTH_DISABLE_LOGIN_FORM": "false",
    "GF_AUTH_BASIC_ENABLED": "true",
}


@pytest.mark.parametrize("settings", [{}, {"GRAFANA_ADMIN_PASSWORD": ""}], ids=["unset", "empty"])
def test_without_a_password_grafana_keeps_its_refusals(compose: Any, settings: dict[str, str]):
    environment = compose.config(**settings)["services"]["grafana"]["environment"]
    assert {name: environment[name] for name in LOGIN} == dict.fromkeys(LOGIN, "")
    assert environment["GF_SECURITY_ADMIN_PASSWORD"] == ""


def test_a_password_opens_the_login(compose: Any):
    environment = compose.config(GRAFANA_ADMIN_PASSWORD="secret")["services"]["grafana"]["environment"]  # noqa: S106
    assert {name: environment[name] for name in LOGIN} == LOGIN
    assert environment["GF_SECURITY_ADMIN_PASSWORD"] == "secret"  # noqa: S105


def test_the_slow_client_takes_the_window_of_all_unless_it_has_its_own(compose: Any, monkeypatch: pytest.MonkeyPatch):
    def window_of(name: str, **settings: str) -> str:
        environment = compose.config(**settings)["services"][name]["environment"]
        with monkeypatch.context() as patch:
            for variable, value in environment.items():
                if value is not None:
                    patch.setenv(variable, value)
            return load_settings(ClientSettings, []).window_bytes

    def windows(**settings: str) -> tuple[str, str]:
        return window_of("client", **settings), window_of("slow-client", **settings)

    assert windows() == ("65535", "65535")
    assert windows(STOCK_CLIENT_WINDOW_BYTES="16384") == ("16384", "16384")
    assert windows(SLOW_CLIENT_WINDOW_BYTES="auto") == ("65535", "auto")
