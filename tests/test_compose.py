"""What `compose.yaml`, `.env.example` and Grafana's configuration promise, read without Docker."""

from __future__ import annotations

import configparser
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic_settings import BaseSettings

from servicekit.settings import OVERRIDES
from stock_client.settings import ClientSettings
from stock_server.settings import ServerSettings

TOP = Path(__file__).parents[1]
COMPOSE = (TOP / "compose.yaml").read_text()
TLS = (TOP / "compose.tls.yaml").read_text()
EXAMPLE = (TOP / ".env.example").read_text()

# fixed in a container: their values are the topology's, or the health checks rely on them
FIXED = {
    "STOCK_SERVER_HOST",
    "STOCK_SERVER_GRPC_PORT",
    "STOCK_SERVER_METRICS_PORT",
    "STOCK_CLIENT_METRICS_HOST",
    "STOCK_CLIENT_METRICS_PORT",
    "STOCK_CLIENT_RANDOM_PROCESSING_TIME",  # STOCK_CLIENT_PROCESSING says the same
    "STOCK_CLIENT_TLS_SERVER_NAME",  # it is that of the address
}


@pytest.mark.parametrize(
    ("service", "settings"), [("server", ServerSettings), ("client", ClientSettings), ("slow-client", ClientSettings)]
)
def test_a_service_can_be_told_every_setting_and_nothing_else(service: str, settings: type[BaseSettings]):
    prefix = settings.model_config["env_prefix"]
    known = {f"{prefix}{field}".upper() for field in settings.model_fields}
    by_tls = yaml.safe_load(TLS)["services"][service]["environment"]
    told = {name for name in services()[service]["environment"] | by_tls if name.startswith(prefix)}
    assert told - {f"{prefix}{OVERRIDES}"} == known - FIXED


def test_what_is_the_slow_clients_alone_wins_over_what_is_every_clients():
    environment = services()["slow-client"]["environment"]
    prefix = environment[f"STOCK_CLIENT_{OVERRIDES}"]
    own = {name.removeprefix(prefix).lower() for name in environment if name.startswith(prefix)}
    assert own == {"processing", "window_bytes", "policy"}
    assert own <= set(ClientSettings.model_fields)


def test_the_example_names_every_variable_and_nothing_else():
    interpolated = set(re.findall(r"\$\{([A-Z_]+)", COMPOSE + TLS))
    passed_on = set(re.findall(r"^ +([A-Z_]+):(?: #.*)?$", COMPOSE, flags=re.MULTILINE))
    named = set(re.findall(r"^#([A-Z_]+)=", EXAMPLE, flags=re.MULTILINE))
    assert named == (interpolated | passed_on) - {"REVISION"}


def test_the_example_has_the_defaults():
    values = dict(re.findall(r"^#([A-Z_]+)=(.*)$", EXAMPLE, flags=re.MULTILINE))
    defaults = dict(re.findall(r"\$\{([A-Z_]+):?-([^}$]*)\}", COMPOSE + TLS))
    assert {name: values[name] for name in defaults} == defaults
    assert values["SLOW_CLIENT_PROCESSING"] == services()["slow-client"]["environment"]["STOCK_CLIENT_PROCESSING"]
    del values["STOCK_SERVER_EXPECTED_CLIENTS"]  # the stack's own clients; the program by itself expects none
    for settings in (ServerSettings, ClientSettings):
        told = {name: value for name, value in values.items() if name.startswith(settings.model_config["env_prefix"])}
        parsed = settings(**{field_of(settings, name): value for name, value in told.items() if value})
        assert parsed == settings(), "a value in .env.example is not the program's default"


def test_prometheus_scrapes_the_same_with_tls():
    plain, tls = (yaml.safe_load((TOP / f"obs/prometheus/prometheus{each}.yml").read_text()) for each in ("", ".tls"))
    for job in tls["scrape_configs"]:
        assert job.pop("scheme") == "https"
        assert job.pop("tls_config").keys() == {"ca_file", "cert_file", "key_file", "server_name"}
    assert tls == plain


def test_whoever_opens_grafana_is_a_viewer_and_nobody_logs_in():
    grafana = configparser.ConfigParser(interpolation=None)
    grafana.read(TOP / "obs/grafana/grafana.ini")
    assert grafana["auth.anonymous"]["org_role"] == "Viewer"
    assert grafana["security"]["disable_initial_admin_creation"] == "true"
    assert grafana["auth"]["disable_login_form"] == "true"
    assert grafana["auth.basic"]["enabled"] == "false"
    assert grafana["rendering"]["renderer_token"].startswith("$__file{")


def services() -> Any:
    return yaml.safe_load(COMPOSE)["services"]


def field_of(settings: type[BaseSettings], variable: str) -> str:
    return variable.removeprefix(settings.model_config["env_prefix"]).lower()
