"""Write obs/prometheus/rules/*.yml as the PrometheusRule that the Prometheus Operator reads.

kustomize can put a file into a config map, but not into an object's specification; so this one object is generated,
committed, and compared with its sources by a test. `make k8s-rules` calls it.
"""

from __future__ import annotations

from pathlib import Path

import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
RULES = REPOSITORY / "obs/prometheus/rules"
OUTPUT = REPOSITORY / "k8s/overlays/monitoring-operator/rules.yaml"

HEAD = """\
# Generated from obs/prometheus/rules by `make k8s-rules`: edit those.
"""


class _Dumper(yaml.SafeDumper):
    """Writes text of several lines as such."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.Node:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def prometheus_rule() -> str:
    """Return the PrometheusRule with the groups of all rule files, in the order of the files' names."""
    groups = [
        group
        for path in sorted(RULES.glob("*.yml"))
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
    ]
    rule = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "backpressure", "labels": {"release": "kube-prometheus-stack"}},
        "spec": {"groups": groups},
    }
    return HEAD + yaml.dump(rule, Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True)


if __name__ == "__main__":
    OUTPUT.write_text(prometheus_rule(), encoding="utf-8")
