"""The stack of `compose.yaml`, as it stands, once for a file: fast and narrow, so that it shows its plateau soon."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from needs import DOCKER_ENGINE, lack

TOP = Path(__file__).parents[2]

SERVICES = ("server", "client", "slow-client", "prometheus")
"""All but Grafana and its renderer, whose images are large and show nothing that is asked here."""

SETTINGS = {
    "GRPC_PORT": "0",
    "PROMETHEUS_PORT": "0",
    "GRAFANA_PORT": "0",
    "STOCK_SERVER_UPDATE_INTERVAL_SECONDS": "0.05",
    "SLOW_CLIENT_WINDOW_BYTES": "16384",
}


DOCKER = shutil.which("docker") or "docker"


def docker(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `docker` to its end, however it ends. Raises FileNotFoundError where it is not installed."""
    return subprocess.run((DOCKER, *arguments), capture_output=True, text=True, check=False, timeout=60)


class Compose:
    """Runs `docker compose` on `compose.yaml`, in a project of its own, deaf to the developer's `.env` and shell."""

    def __init__(self, env_file: Path) -> None:
        self.project = f"backpressure-test-{os.getpid()}"
        self.env_file = env_file
        self.files: tuple[str, ...] = ("compose.yaml",)
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("STOCK_", "SLOW_", "COMPOSE_"))
        }

    def __call__(self, *arguments: str, check: bool = True) -> str:
        """Return what the command printed. Raises AssertionError with its complaint where it fails."""
        return self._run("-p", self.project, *arguments, check=check)

    def build(self) -> None:
        """Build the images, not as this project, by whose name Compose would label them: they are the user's own."""
        self._run("build")

    def _run(self, *arguments: str, check: bool = True) -> str:
        files = [argument for file in self.files for argument in ("-f", file)]
        command = (DOCKER, "compose", *files, "--env-file", str(self.env_file), *arguments)
        done = subprocess.run(command, cwd=TOP, env=self.environment, capture_output=True, text=True, check=False)
        assert not check or done.returncode == 0, f"{' '.join(command)}:\n{done.stdout}{done.stderr[-4000:]}"
        return done.stdout

    def config(self, **settings: str) -> Any:
        """Return the whole configuration, with more settings in `.env`."""
        self.configure(settings)
        try:
            return json.loads(self("config", "--format", "json"))
        finally:
            self.configure(SETTINGS)

    @staticmethod
    def docker(*arguments: str) -> subprocess.CompletedProcess[str]:
        """Do what `docker` does, for tests that have this fixture."""
        return docker(*arguments)

    def configure(self, settings: dict[str, str]) -> None:
        """Write these settings to `.env`."""
        self.env_file.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))

    def containers(self) -> dict[str, Any]:
        """Return what Docker knows of each container, by its name without the project's."""
        ids = self("ps", "--all", "--quiet").split()
        inspected = json.loads(docker("inspect", *ids).stdout)
        return {each["Name"].removeprefix(f"/{self.project}-"): each for each in inspected}


class Prometheus:
    """Asks Prometheus' HTTP API."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def get(self, path: str, **parameters: str | float) -> Any:
        """Return the data of an answer. Raises httpx.HTTPError."""
        return self._http.get(path, params=parameters).raise_for_status().json()["data"]

    def targets(self) -> list[tuple[str, str]]:
        """Return each target's job and health."""
        return sorted((each["labels"]["job"], each["health"]) for each in self.get("/targets")["activeTargets"])

    def by_client(self, query: str) -> dict[str, float]:
        """Return a query's value for each client, by the service in its name."""
        result = self.get("/query", query=query)["result"]
        return {each["metric"]["client"].rpartition("-")[0]: float(each["value"][1]) for each in result}


def engine_problem() -> str | None:
    """Return why there is no Docker Engine with Compose to test on, or None where there is one."""
    try:
        done = docker("compose", "ls", "--quiet")
    except (FileNotFoundError, subprocess.TimeoutExpired) as error:
        return str(error)
    return done.stderr.strip() if done.returncode else None


@pytest.fixture(scope="session")
def compose(tmp_path_factory: pytest.TempPathFactory) -> Compose:
    problem = engine_problem()
    if problem:
        lack(*DOCKER_ENGINE, why=problem)
    compose = Compose(tmp_path_factory.mktemp("compose") / ".env")
    compose.configure(SETTINGS)
    return compose


@pytest.fixture(scope="session")
def images(compose: Compose) -> dict[str, Any]:
    """Build the images; return what Docker knows of them."""
    compose.build()
    names = ("backpressure-server", "backpressure-client")
    return dict(zip(names, json.loads(docker("image", "inspect", *names).stdout), strict=True))


@pytest.fixture(scope="module")
def stack(compose: Compose, images: dict[str, Any]) -> Iterator[Compose]:
    """Run the services until they are healthy; remove all of it in the end, whatever happens."""
    try:
        compose("up", "--detach", "--wait", *SERVICES)
        yield compose
    finally:
        compose("down", "--volumes", "--timeout", "5", check=False)


@pytest.fixture
def prometheus(stack: Compose) -> Iterator[Prometheus]:
    address = stack("port", "prometheus", "9090").strip()
    with httpx.Client(base_url=f"http://{address}/api/v1", timeout=10) as http:
        yield Prometheus(http)
