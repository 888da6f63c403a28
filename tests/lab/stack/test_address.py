"""Where `lab verify` and `lab snapshot` ask: what was told, else what Compose says, else the stack's settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.stack import address
from lab.stack.address import AddressError, Ports, address_of

SETTING = "--prometheus-url (LAB_VERIFY_PROMETHEUS_URL)"


@pytest.fixture(autouse=True)
def nothing_is_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No Docker, no .env and no variable, unless a test sets one."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(Ports.model_config, "env_file", tmp_path / ".env")
    for name in ("PROMETHEUS_PORT", "GRAFANA_PORT"):
        monkeypatch.delenv(name, raising=False)


def docker_says(folder: Path, text: str, status: int = 0) -> None:
    """Put a `docker` on PATH that says this, and notes what it was asked and where."""
    program = folder / "docker"
    program.write_text(f'#!/bin/sh\necho "$PWD $@" >{folder}/asked\necho "{text}"\nexit {status}\n')
    program.chmod(0o755)


def test_what_was_told_is_asked(tmp_path: Path):
    docker_says(tmp_path, "127.0.0.1:32832")
    found = address_of("prometheus", "http://example.com:9090", SETTING)
    assert (found.url, found.given) == ("http://example.com:9090", True)
    assert found.hint == f"{SETTING} names it"


@pytest.mark.parametrize("published", ["127.0.0.1:32832", "0.0.0.0:32832", "[::]:32832"])
def test_else_compose_is_asked_in_this_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, published: str):
    docker_says(tmp_path, published)
    monkeypatch.setenv("PROMETHEUS_PORT", "1")
    found = address_of("prometheus", None, SETTING)
    assert (found.url, found.given) == ("http://127.0.0.1:32832", False)
    assert found.hint == f"docker compose port prometheus 9090 names it, {SETTING} names another"
    asked = (tmp_path / "asked").read_text()
    assert asked == f"{address.COMPOSE_FILE.parent} compose port prometheus 9090\n"


@pytest.mark.parametrize(("text", "status"), [("no container found", 1), ("", 0), ("invalid IP:0", 0)])
def test_where_it_does_not_run_its_setting_says(tmp_path: Path, text: str, status: int):
    docker_says(tmp_path, text, status)
    (tmp_path / ".env").write_text("# ports\nPROMETHEUS_PORT=9091 # mine\nSTOCK_SERVER_POLICY=pause\n")
    found = address_of("prometheus", None, SETTING)
    assert found.url == "http://127.0.0.1:9091"
    assert found.hint == f"PROMETHEUS_PORT=9091 names it, {SETTING} names another"


def test_a_variable_wins_over_dot_env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / ".env").write_text("GRAFANA_PORT=3001\n")
    monkeypatch.setenv("GRAFANA_PORT", "3002")
    assert address_of("grafana", None, SETTING).url == "http://127.0.0.1:3002"


def test_else_it_is_the_default():
    assert address_of("prometheus", None, SETTING).url == "http://127.0.0.1:9090"
    assert address_of("grafana", None, SETTING).url == "http://127.0.0.1:3000"


def test_any_free_port_is_for_compose_to_tell(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PROMETHEUS_PORT", "0")
    with pytest.raises(AddressError, match="PROMETHEUS_PORT=0 takes any free port"):
        address_of("prometheus", None, SETTING)


@pytest.mark.parametrize("port", ["many", "65536", "127.0.0.1:9090"])
def test_what_is_no_port_is_told_by_its_name(monkeypatch: pytest.MonkeyPatch, port: str):
    monkeypatch.setenv("PROMETHEUS_PORT", port)
    with pytest.raises(AddressError, match=f"PROMETHEUS_PORT: '{port}' is no port; it takes 0 to 65535"):
        address_of("prometheus", None, SETTING)
