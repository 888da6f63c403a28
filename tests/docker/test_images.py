from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.docker, pytest.mark.timeout(420)]

Run = Callable[..., "subprocess.CompletedProcess[str]"]

TOP = Path(__file__).parents[2]
IMAGES = ("backpressure-server", "backpressure-client")


@pytest.fixture
def run(compose: Any, images: dict[str, Any]) -> Run:
    """Runs a command in an image."""

    def run(image: str, *command: str) -> subprocess.CompletedProcess[str]:
        options = ("--rm", "--read-only", "--cap-drop=ALL", "--entrypoint", command[0])
        return compose.docker("run", *options, image, *command[1:])

    return run


@pytest.mark.parametrize("image", IMAGES)
def test_the_user_is_a_number_and_not_root(images: dict[str, Any], image: str):
    assert re.fullmatch(r"[1-9][0-9]*:[1-9][0-9]*", images[image]["Config"]["User"])


@pytest.mark.parametrize("image", IMAGES)
def test_it_starts_without_a_shell_and_asks_its_own_health(images: dict[str, Any], image: str):
    command = image.replace("backpressure", "stock")
    config = images[image]["Config"]
    assert config["Entrypoint"] == [command]
    assert config["Healthcheck"]["Test"] == ["CMD", f"{command}-health"]


@pytest.mark.parametrize(
    ("image", "ports"),
    [("backpressure-server", {"4444/tcp", "2112/tcp"}), ("backpressure-client", {"2113/tcp"})],
    ids=IMAGES,
)
def test_it_tells_its_ports(images: dict[str, Any], image: str, ports: set[str]):
    assert set(images[image]["Config"]["ExposedPorts"]) == ports


@pytest.mark.parametrize(("image", "other"), [IMAGES, IMAGES[::-1]], ids=IMAGES)
def test_nothing_of_the_other_service_is_in_it(run: Run, image: str, other: str):
    package = other.replace("backpressure-", "stock_")
    assert "ModuleNotFoundError" in run(image, "python", "-c", f"import {package}").stderr
    assert run(image, "sh", "-c", f"command -v {package.replace('_', '-')} || echo none").stdout == "none\n"


def test_a_build_that_names_no_service_says_how_to(compose: Any):
    done = compose.docker("build", "--file", str(TOP / "services/Dockerfile"), str(TOP))
    assert done.returncode != 0
    assert "say which image: --build-arg SERVICE=server, client or market" in done.stderr


@pytest.mark.parametrize("image", IMAGES)
def test_it_says_what_it_is(images: dict[str, Any], image: str):
    labels = images[image]["Config"]["Labels"]
    assert labels["org.opencontainers.image.title"] == image
    assert labels["org.opencontainers.image.licenses"] == "MIT"


@pytest.mark.parametrize("image", IMAGES)
@pytest.mark.parametrize("module", ["pip", "ensurepip", "hatchling"])
def test_nothing_in_it_installs_software(run: Run, image: str, module: str):
    done = run(image, "python", "-c", f"import {module}")
    assert "ModuleNotFoundError" in done.stderr


@pytest.mark.parametrize("image", IMAGES)
@pytest.mark.parametrize("tool", ["pip", "pip3", "cc", "gcc"])
def test_it_has_no_such_tool(run: Run, image: str, tool: str):
    assert run(image, "sh", "-c", f"command -v {tool} || echo none").stdout == "none\n"


@pytest.mark.parametrize("image", IMAGES)
def test_its_modules_are_compiled_already(run: Run, image: str):
    package = image.replace("backpressure-", "stock_")
    script = f"import importlib.util as u, os; print(os.path.exists(u.find_spec('{package}.main').cached))"
    assert run(image, "python", "-c", script).stdout == "True\n"
