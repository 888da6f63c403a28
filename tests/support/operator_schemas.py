"""The Prometheus Operator's own schemas, out of its Go module; `make tools` gets them."""

from __future__ import annotations

from functools import cache

import yaml
from jsonschema import Draft202012Validator

from manifests import REPOSITORY, Object
from needs import lack


@cache
def schemas() -> dict[str, Object]:
    """Return the operator's schema of each kind, in which a field that is not there is an error."""
    folders = list((REPOSITORY / ".tools").glob("prometheus-operator-*"))
    (folder,) = folders or lack("the operator's schemas", "make tools")
    definitions = [yaml.safe_load(path.read_text())["spec"] for path in folder.glob("*.yaml")]
    return {each["names"]["kind"]: closed(each["versions"][0]["schema"]["openAPIV3Schema"]) for each in definitions}


def closed(schema: Object) -> Object:
    """Return a schema that takes no other fields than those it names; an API server would leave them out in silence."""
    schema = {
        key: closed(value) if key in ("items", "additionalProperties") and isinstance(value, dict) else value
        for key, value in schema.items()
    }
    if properties := schema.get("properties"):
        schema["properties"] = {name: closed(each) for name, each in properties.items()}
        schema.setdefault("additionalProperties", False)
    return schema


def faults(thing: Object) -> list[str]:
    """Return what the operator's schema has against an object. Skips where there is none."""
    # `metadata` is Kubernetes' own, and without fields there
    return [each.message for each in Draft202012Validator(schemas()[thing["kind"]]).iter_errors(thing)]
