"""What the tests of k8s/ share: rendered objects, and the questions that are asked of them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from needs import need_tool, tool

REPOSITORY = Path(__file__).resolve().parents[2]
DEFAULT = "k8s"
KIND = "k8s/overlays/kind"
OPERATOR = "k8s/overlays/monitoring-operator"
TLS = "k8s/overlays/tls"
OPENSHIFT = "k8s/overlays/openshift"
TARGETS = (DEFAULT, KIND, OPERATOR, TLS, OPENSHIFT)
WORKLOADS = ("Deployment", "StatefulSet")

OLDEST = "kustomize-v5.5.0"
"""The kustomize inside kubectl 1.32, the oldest that these manifests are for."""

Object = dict[str, Any]


def renderers() -> dict[str, list[str]]:
    """Return the commands at hand that render a folder, by program: two kustomize, and the one inside kubectl."""
    arguments = {"kustomize": "build", OLDEST: "build", "kubectl": "kustomize"}
    return {name: [path, arguments[name]] for name in arguments if (path := tool(name))}


@cache
def render(target: str, program: str = "") -> str:
    """Return what kustomize makes of a folder. Skips where there is none; it needs no network."""
    at_hand = renderers() or {"kustomize": [need_tool("kustomize")]}
    command = at_hand[program or next(iter(at_hand))]
    result = subprocess.run(
        [*command, str(REPOSITORY / target)], capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == 0, result.stderr
    assert "deprecated" not in result.stderr, result.stderr
    return result.stdout


@cache
def objects(target: str) -> tuple[Object, ...]:
    """Return the rendered objects of a folder."""
    return tuple(yaml.safe_load_all(render(target)))


def of_kind(target: str, *kinds: str) -> list[Object]:
    """Return the rendered objects of some kinds."""
    return [found for found in objects(target) if found["kind"] in kinds]


def named(target: str, kind: str, name: str) -> Object:
    """Return the one object of that kind and name."""
    (found,) = (each for each in of_kind(target, kind) if each["metadata"]["name"] == name)
    return found


def name_of(thing: Object) -> str:
    """Return kind/name, as kubectl writes it."""
    return f"{thing['kind'].lower()}/{thing['metadata']['name']}"


def workloads(target: str) -> list[Object]:
    """Return everything that makes pods."""
    return of_kind(target, *WORKLOADS)


def pod_spec(workload: Object) -> Object:
    """Return the specification of a workload's pods."""
    spec: Object = workload["spec"]["template"]["spec"]
    return spec


def pod_labels(workload: Object) -> dict[str, str]:
    """Return the labels of a workload's pods."""
    labels: dict[str, str] = workload["spec"]["template"]["metadata"]["labels"]
    return labels


def main_container(workload: Object) -> Object:
    """Return the one container of a workload that is not an init container."""
    (container,) = pod_spec(workload)["containers"]
    found: Object = container
    return found


def containers(workload: Object) -> Iterator[Object]:
    """Yield init containers and containers alike."""
    yield from pod_spec(workload).get("initContainers", [])
    yield from pod_spec(workload)["containers"]


def environment(container: Object) -> dict[str, str]:
    """Return the variables that have a value in the manifest, as a container in the namespace sees them."""
    found = {each["name"]: each["value"] for each in container.get("env", []) if "value" in each}
    return {name: value.replace("$(POD_NAMESPACE)", "backpressure") for name, value in found.items()}


def selects(selector: Object, labels: dict[str, str]) -> bool:
    """Tell whether a label selector matches; an empty one matches everything, as in Kubernetes."""
    assert selector.keys() <= {"matchLabels", "matchExpressions"}, selector
    if any(labels.get(key) != value for key, value in selector.get("matchLabels", {}).items()):
        return False
    for expression in selector.get("matchExpressions", []):
        assert expression["operator"] == "In", "teach this function the operator before using it"
        if labels.get(expression["key"]) not in expression["values"]:
            return False
    return True


@cache
def compose() -> Object:
    """Return compose.yaml, with its anchors merged and its variables as they stand."""
    loaded: Object = yaml.safe_load((REPOSITORY / "compose.yaml").read_text())
    return loaded


@cache
def prometheus_config() -> Object:
    """Return obs/prometheus/prometheus.yml."""
    loaded: Object = yaml.safe_load((REPOSITORY / "obs/prometheus/prometheus.yml").read_text())
    return loaded
