"""The scripts behind make, with stand-ins for docker, kind and kubectl that write down how they were called."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from manifests import KIND, REPOSITORY, TARGETS, containers, workloads

SCRIPTS = REPOSITORY / "k8s/scripts"


class Machine:
    """A PATH on which some programs are stand-ins: each notes its arguments, and runs a line of shell."""

    def __init__(self, folder: Path) -> None:
        self._bin = folder / "bin"
        self._bin.mkdir()
        self._calls = folder / "calls"
        self._calls.touch()
        for name in ("bash", "basename", "dirname", "cat", "grep", "git", "sed", "mktemp", "rm", "sleep", "python3"):
            self.brings(name)

    def brings(self, name: str) -> None:
        """Put a program of this machine on the PATH."""
        found = shutil.which(name)
        assert found, name
        path = self._bin / name
        path.is_symlink() or path.symlink_to(found)

    def has(self, program: str, behaviour: str = "true") -> None:
        """Put a stand-in on the PATH; `behaviour` is shell that sees its arguments."""
        path = self._bin / program
        path.write_text(f'#!/usr/bin/env bash\necho "{program} $*" >>{self._calls}\n{behaviour}\n')
        path.chmod(0o755)

    def run(self, script: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a script of k8s/scripts."""
        environment = {"PATH": str(self._bin), "HOME": os.environ.get("HOME", "/"), **variables}
        command = [str(self._bin / "bash"), str(SCRIPTS / script)]
        return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=30, check=False)

    def calls(self) -> list[str]:
        """Return the calls of all stand-ins, in order."""
        return self._calls.read_text().splitlines()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def assert_one_line(result: subprocess.CompletedProcess[str], text: str) -> None:
    assert result.returncode == 2, result
    assert re.fullmatch(f".*{text}.*\n", result.stderr), result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("variables", [{}, {"REGISTRY": "example.org/me"}, {"TAG": "1.2.3"}])
def test_images_asks_for_registry_and_tag(machine: Machine, variables: dict[str, str]) -> None:
    machine.has("docker")
    assert_one_line(machine.run("images.sh", **variables), "make images REGISTRY=")
    assert machine.calls() == []


BUILDERS = """
for each; do case $each in --metadata-file) next=1 ;; *) [ -z "$next" ] || file=$each; next= ;; esac; done
case "$*" in
  "buildx inspect --bootstrap") echo "Driver: $DRIVER"; echo "Name: mine"; echo "Platforms: $PLATFORMS_HERE" ;;
  "buildx inspect --bootstrap "*) [ -e "$MADE" ] && echo "Platforms: $PLATFORMS_HERE" ;;
  "buildx inspect "*) [ -e "$MADE" ] ;;
  "buildx create "*) touch "$MADE" ;;
  "buildx build "*) echo '{"containerimage.digest": "sha256:5eed", "image.name": "x"}' >"$file" ;;
esac
"""
"""A docker whose engine's own builder has the driver $DRIVER, and another once it is made."""


def build_images(machine: Machine, tmp_path: Path, driver: str, platforms: str, **variables: str) -> Any:
    for name in ("head", "tail", "cut", "touch"):
        machine.brings(name)
    machine.has("docker", BUILDERS)
    here = {"DRIVER": driver, "PLATFORMS_HERE": platforms, "MADE": str(tmp_path / "made")}
    return machine.run("images.sh", REGISTRY="example.org/me", TAG="1.2.3", **here, **variables)


BOTH = "linux/amd64*, linux/arm64, linux/386"


def test_images_builds_all_for_both_platforms_and_prints_lines_that_kustomize_takes(
    machine: Machine, tmp_path: Path
) -> None:
    result = build_images(machine, tmp_path, "docker-container", BOTH)
    assert result.returncode == 0, result.stderr

    builds = [call for call in machine.calls() if "buildx build" in call]
    for build, service in zip(builds, ("server", "client", "market"), strict=True):
        assert "--builder mine --platform linux/amd64,linux/arm64 --push" in build
        assert f"--build-arg SERVICE={service}" in build
        assert f"--file services/Dockerfile --tag example.org/me/backpressure-{service}:1.2.3 ." in build
    assert (REPOSITORY / "services/Dockerfile").is_file()
    assert not [call for call in machine.calls() if "buildx create" in call]

    # put where it says, every container of every overlay but kind's runs just what was pushed
    lines = "\n".join(line for line in result.stdout.splitlines() if line.startswith("  - "))
    place = tmp_path / "k8s"
    shutil.copytree(REPOSITORY / "k8s", place)
    shutil.copytree(REPOSITORY / "obs", tmp_path / "obs")
    images = place / "images/kustomization.yaml"
    images.write_text(re.sub(r"(?ms)^images:.*", f"images:\n{lines}\n", images.read_text()))
    for target in (each for each in TARGETS if each != KIND):
        rendered = {
            container["image"]
            for each in workloads(str(tmp_path / target))
            for container in containers(each)
            if "backpressure-" in container["image"]
        }
        assert rendered == {f"example.org/me/backpressure-{each}@sha256:5eed" for each in ("server", "client")}, target


def test_images_makes_a_builder_where_the_engines_own_cannot_and_takes_it_the_next_time(
    machine: Machine, tmp_path: Path
) -> None:
    for _ in range(2):
        result = build_images(machine, tmp_path, "docker", BOTH)
        assert result.returncode == 0, result.stderr
    made = [call for call in machine.calls() if "buildx create" in call]
    assert made == ["docker buildx create --name backpressure --driver docker-container"]
    builds = [call for call in machine.calls() if "buildx build" in call]
    assert len(builds) == 6
    assert all("--builder backpressure " in build for build in builds)


def test_images_says_which_platform_cannot_be_built_and_builds_the_other(machine: Machine, tmp_path: Path) -> None:
    assert_one_line(build_images(machine, tmp_path, "docker-container", "linux/amd64"), "cannot build for linux/arm64")
    assert not [call for call in machine.calls() if "buildx build" in call]
    result = build_images(machine, tmp_path, "docker-container", "linux/amd64", PLATFORMS="linux/amd64")
    assert result.returncode == 0, result.stderr


def test_images_stops_at_a_build_that_fails(machine: Machine, tmp_path: Path) -> None:
    for name in ("head", "tail", "cut"):
        machine.brings(name)
    machine.has(
        "docker", 'case "$*" in *"buildx build"*) exit 1 ;; *) echo "Platforms: linux/amd64, linux/arm64" ;; esac'
    )
    result = machine.run("images.sh", REGISTRY="example.org/me", TAG="1.2.3")
    assert result.returncode != 0
    assert "Put this" not in result.stdout


@pytest.mark.parametrize("script", ["kind_up.sh", "kind_down.sh"])
def test_kind_is_asked_for_where_it_is_missing(machine: Machine, script: str) -> None:
    machine.has("docker")
    machine.has("kubectl")
    assert_one_line(machine.run(script), "needs kind")


def test_kind_up_loads_the_images_that_its_overlay_names_and_waits_for_everything(machine: Machine) -> None:
    machine.has("docker")
    machine.has("kind")
    machine.has("kubectl")
    result = machine.run("kind_up.sh")
    assert result.returncode == 0, result.stderr

    calls = machine.calls()
    assert any(call.startswith("kind create cluster --name backpressure") for call in calls)
    named = {
        c["image"] for one in workloads("k8s/overlays/kind") for c in containers(one) if "backpressure" in c["image"]
    }
    loaded = {call.split()[3] for call in calls if call.startswith("kind load docker-image")}
    assert loaded == named
    waited = {match[1] for call in calls if (match := re.search(r"rollout status (\S+)", call))}
    assert waited == {f"{one['kind'].lower()}/{one['metadata']['name']}" for one in workloads("k8s/overlays/kind")}
    assert all("--context kind-backpressure" in call for call in calls if call.startswith("kubectl"))


def test_kind_up_goes_on_without_a_renderer_and_not_without_grafana(machine: Machine) -> None:
    machine.has("docker")
    machine.has("kind")
    machine.has("kubectl", '[[ "$*" != *"rollout status deployment/renderer"* ]]')
    result = machine.run("kind_up.sh")
    assert result.returncode == 0, result.stderr
    assert "the renderer does not run, so Grafana makes no pictures" in result.stdout

    machine.has("kubectl", '[[ "$*" != *"rollout status deployment/grafana"* ]]')
    assert machine.run("kind_up.sh").returncode != 0


def test_the_smoke_test_says_that_it_needs_a_cluster(machine: Machine) -> None:
    machine.has("curl")
    machine.has("kubectl", "exit 1")
    assert_one_line(machine.run("smoke.sh"), "needs a Kubernetes cluster")


def test_the_smoke_test_leaves_a_namespace_alone_that_is_there_already(machine: Machine) -> None:
    machine.has("curl")
    machine.has("kubectl")  # says yes to all, also to `get namespace`
    assert_one_line(machine.run("smoke.sh"), "is there already")
    assert not [call for call in machine.calls() if " apply " in call or " delete " in call]


def test_the_smoke_test_cleans_up_and_fails_where_something_fails(machine: Machine) -> None:
    machine.has("curl")
    machine.has("kubectl", '[[ "$*" != *"get namespace"* && "$*" != *"rollout status"* ]]')
    result = machine.run("smoke.sh")

    assert result.returncode == 1
    assert machine.calls()[-1].startswith("kubectl delete namespace backpressure")
    assert "passed" not in result.stdout
