"""Every rendered object is what Kubernetes' own schemas say, to the field: an unknown one fails."""

from __future__ import annotations

import copy
import json

import kubernetes_validate
import pytest

from manifests import DEFAULT, OLDEST, TARGETS, Object, name_of, named, objects, render, renderers
from needs import need_tool

KUBERNETES_VERSIONS = ("1.32", "1.37")
"""The oldest that these manifests are for, and the newest whose schemas are at hand."""

OPERATOR_GROUP = "monitoring.coreos.com/v1"


@pytest.mark.parametrize("version", KUBERNETES_VERSIONS)
@pytest.mark.parametrize("target", TARGETS)
def test_every_object_is_valid_strictly(target: str, version: str) -> None:
    built_in = [thing for thing in objects(target) if thing["apiVersion"] != OPERATOR_GROUP]
    assert len(built_in) > 10
    for thing in built_in:
        try:
            kubernetes_validate.validate(thing, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            pytest.fail(f"{name_of(thing)}: {error.json_path}: {error.message}")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("spec", "replica"), 1),
        (("spec", "template", "spec", "containers", 0, "redinessProbe"), {}),
        (("spec", "template", "spec", "containers", 0, "livenessProbe", "periodSeconds"), "ten"),
    ],
)
def test_a_misspelt_or_mistyped_field_is_found(path: tuple[str | int, ...], value: object) -> None:
    thing = copy.deepcopy(named(DEFAULT, "Deployment", "server"))
    at: Object = thing
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value

    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(thing, KUBERNETES_VERSIONS[0], strict=True)


@pytest.mark.parametrize("target", TARGETS)
def test_no_object_is_there_twice_and_all_are_in_the_namespace(target: str) -> None:
    found = [(thing["apiVersion"], name_of(thing)) for thing in objects(target)]
    assert len(found) == len(set(found))
    for thing in objects(target):
        assert thing["kind"] == "Namespace" or thing["metadata"]["namespace"] == "backpressure", name_of(thing)


@pytest.mark.parametrize("target", TARGETS)
def test_every_object_fits_into_the_annotation_of_kubectl_apply(target: str) -> None:
    # kubectl keeps a copy of what it applied in an annotation, and all annotations together have 256 KiB
    for thing in objects(target):
        assert len(json.dumps(thing)) < 250_000, f"{name_of(thing)} is too large for kubectl apply"


@pytest.mark.parametrize("target", TARGETS)
def test_every_kustomize_renders_the_same(target: str) -> None:
    # else a cluster would see changes, some of them to fields that cannot be changed, from whoever has another version
    need_tool("kustomize"), need_tool(OLDEST)
    rendered = {program: render(target, program) for program in renderers()}
    assert set(rendered.values()) == {rendered["kustomize"]}
