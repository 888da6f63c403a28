"""The secret of Grafana and its renderer; who knows it is an administrator of Grafana."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

pytestmark = [pytest.mark.docker, pytest.mark.timeout(420)]


@pytest.fixture
def project(compose: Any, images: dict[str, Any], tmp_path) -> Iterator[Any]:
    """Another project; the client's image stands in for two that are large, and are not started."""
    project = type(compose)(tmp_path / ".env")
    project.project += "-token"
    project.configure({"GRAFANA_IMAGE": "backpressure-client", "RENDERER_IMAGE": "backpressure-client"})
    try:
        yield project
    finally:
        project("down", "--volumes", "--timeout", "5", check=False)


def test_it_is_drawn_once_at_random_and_both_can_read_it(project: Any):
    def draw() -> str:
        project("up", "--exit-code-from", "renderer-token", "renderer-token")
        return read("grafana", "token")

    def read(service: str, name: str) -> str:
        return project("run", "--rm", "--no-deps", "-T", "--entrypoint", "cat", service, f"/run/renderer/{name}")

    # the containers that only read are there first, as in `docker compose up`
    project("create", "grafana", "renderer", "renderer-token")
    token = draw()
    assert len(token) == 64
    assert token in read("renderer", "config.yaml")
    assert draw() == token, "who runs already would go on with the old one"

    project("down", "--volumes")
    assert draw() != token
