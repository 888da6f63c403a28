"""`make up` on a real engine: it says what does not run, and why; a renderer that does not run is no reason to end."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.docker, pytest.mark.timeout(420)]

TOP = Path(__file__).parents[2]

Up = Callable[..., "subprocess.CompletedProcess[str]"]


SETTINGS = {
    "GRPC_PORT": "0",
    "PROMETHEUS_PORT": "0",
    "GRAFANA_PORT": "0",
    # it builds, and Compose labels what it builds by the project's name
    "SERVER_IMAGE": "backpressure-test-server",
    "CLIENT_IMAGE": "backpressure-test-client",
}


@pytest.fixture(scope="module")
def project(compose: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Another project, with images of its own; it leaves none behind."""
    project = type(compose)(tmp_path_factory.mktemp("up") / ".env")
    project.project += "-up"
    project.configure(SETTINGS)
    try:
        yield project
    finally:
        project("down", "--volumes", "--timeout", "5", check=False)
        project.docker("rmi", SETTINGS["SERVER_IMAGE"], SETTINGS["CLIENT_IMAGE"])


@pytest.fixture
def up(project: Any) -> Iterator[Up]:
    """Runs `make up` for some services, with settings in `.env`."""

    def up(services: str, **settings: str) -> subprocess.CompletedProcess[str]:
        project.configure({**SETTINGS, **settings})
        command = f"docker compose -p {project.project} --env-file {project.env_file}"
        return subprocess.run(
            ["make", "--no-print-directory", "up", f"COMPOSE={command}", f"SERVICES={services}"],  # noqa: S607
            cwd=TOP, env=project.environment, capture_output=True, text=True, timeout=200, check=False,
        )  # fmt: skip

    yield up
    project("down", "--volumes", "--timeout", "5")
    project.configure(SETTINGS)


def states(project: Any) -> dict[str, str]:
    return {name.removesuffix("-1"): each["State"]["Status"] for name, each in project.containers().items()}


def test_a_bad_value_is_told_by_the_name_that_stands_in_env(up: Up, project: Any):
    done = up("server slow-client", SLOW_CLIENT_POLICY="bogus")
    assert done.returncode != 0
    (line,) = [line for line in done.stderr.splitlines() if "slow-client keeps restarting" in line]
    assert "stock-client: --policy (SLOW_CLIENT_POLICY): " in line
    assert "'bogus'" in line
    assert "server keeps" not in done.stderr
    assert states(project)["server"] == "running"


def test_a_client_that_is_refused_is_told_with_the_servers_reason(up: Up):
    # less than it takes to ask: a client that is not refused yet is ready, and one look at that is enough for Compose
    settings = {"STOCK_CLIENT_READY_WITHIN_SECONDS": "0.01", "STOCK_SERVER_ALLOWED_POLICIES": "pause"}
    done = up("client", STOCK_CLIENT_POLICY="conflate", **settings)
    assert done.returncode != 0
    (line,) = [line for line in done.stderr.splitlines() if "client is not healthy" in line]
    assert "stock-client-health: no stream for " in line
    assert "PERMISSION_DENIED: conflate is not allowed here" in line


def test_what_prometheus_says_is_its_error_and_not_its_usage(up: Up):
    done = up("prometheus", PROMETHEUS_RETENTION_TIME="bogus")
    assert done.returncode != 0
    (line,) = [line for line in done.stderr.splitlines() if "prometheus keeps restarting" in line]
    assert line.endswith('Error parsing command line arguments: not a valid duration string: "bogus"')


@pytest.mark.parametrize(
    ("image", "told"),
    [("backpressure-none:0", "the renderer does not run"), ("python:3.14-slim", "renderer keeps restarting")],
    ids=["cannot be had", "ends at once"],
)
def test_without_a_renderer_everything_else_runs(up: Up, project: Any, image: str, told: str):
    done = up("prometheus renderer", RENDERER_IMAGE=image, GRAFANA_IMAGE="python:3.14-slim")
    assert done.returncode == 0, done.stderr
    assert "so Grafana makes no pictures; everything else runs" in done.stderr
    assert told in done.stderr
    assert states(project)["prometheus"] == "running"
    assert "prometheus   http://127.0.0.1:" in done.stdout


def test_building_again_leaves_no_image_without_a_name(project: Any):
    def nameless() -> list[str]:
        label = f"label=com.docker.compose.project={project.project}"
        return project.docker("images", "--quiet", "--filter", "dangling=true", "--filter", label).stdout.split()

    for _ in range(2):
        project("build")
    assert nameless() == []
