"""The GitHub workflows: valid by actionlint, pinned, and allowed to do little."""

from __future__ import annotations

import re
import subprocess

import pytest
import yaml

from manifests import REPOSITORY, Object
from needs import need_tool

WORKFLOWS = sorted((REPOSITORY / ".github/workflows").glob("*.yml"))
RELEASE = {"contents": "read", "packages": "write", "id-token": "write", "attestations": "write"}
"""What it takes to push images, and to sign them."""

PINNED = re.compile(r"uses: [\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")


def test_actionlint_finds_nothing() -> None:
    command = [need_tool("actionlint"), "-no-color", *map(str, WORKFLOWS)]
    result = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, timeout=60, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_and_permissions_minimal(path: object) -> None:
    text = (REPOSITORY / ".github/workflows" / str(path)).read_text()
    workflow: Object = yaml.safe_load(text)

    assert workflow["permissions"] == {"contents": "read"}
    asked = {name: job["permissions"] for name, job in workflow["jobs"].items() if "permissions" in job}
    assert asked == ({"images": RELEASE} if workflow["name"] == "release" else {})
    for line in text.splitlines():
        assert "uses:" not in line or PINNED.search(line), line
    for name, job in workflow["jobs"].items():
        assert "timeout-minutes" in job, name
    assert text.count("actions/checkout@") == text.count("persist-credentials: false")


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_make_target_that_a_workflow_calls_exists(path: object) -> None:
    text = (REPOSITORY / ".github/workflows" / str(path)).read_text()
    targets = set(re.findall(r"^([a-z0-9-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    called = set(re.findall(r"\bmake ([a-z0-9-]+)", text))

    assert called
    assert called <= targets


def test_every_place_where_something_is_pinned_is_kept_up_to_date() -> None:
    updates = yaml.safe_load((REPOSITORY / ".github/dependabot.yml").read_text())["updates"]
    places = {(update["package-ecosystem"], update["directory"]) for update in updates}
    assert places == {
        ("pip", "/requirements"),
        ("docker", "/services"),
        ("docker-compose", "/"),
        ("github-actions", "/"),
    }
    for ecosystem, folder in places:
        pattern = {
            "pip": "*.txt",
            "docker": "Dockerfile",
            "docker-compose": "compose.yaml",
            "github-actions": ".github/workflows/*.yml",
        }
        assert list((REPOSITORY / folder.lstrip("/")).glob(pattern[ecosystem])), (ecosystem, folder)
