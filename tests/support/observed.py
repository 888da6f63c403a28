"""What obs/ says: its rules, its compiled dashboards, and the names of the metrics that they use."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from grpc import StatusCode
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from flowcontrol import CLIENT_METRICS, SERVER_METRICS, Ledger, SendBook
from flowcontrol.sync import POOL_METRICS
from servicekit.metrics.port import new_registry
from servicekit.tls.expiry import EXPIRY
from stock_client.ending import StreamEndedError
from stock_client.metrics.client import ClientMetrics
from stock_client.metrics.presence import Presence
from stock_server.metrics import register_metrics
from stock_server.port.accepting import AcceptingServer

OBS = Path(__file__).parents[2] / "obs"
DASHBOARDS = OBS / "grafana" / "dashboards"
RULES = OBS / "prometheus" / "rules"
RULE_TESTS = OBS / "prometheus" / "tests"

MADE_BY_PROMETHEUS = {"up", "ALERTS", "ALERTS_FOR_STATE"}

_NOT_METRICS = (
    "abs absent and avg bool by ceil clamp_max clamp_min count count_over_time count_values floor group_left "
    "histogram_quantile ignoring increase label_replace last_over_time max max_over_time min min_over_time offset on "
    "or quantile rate round sort_desc sum time timestamp topk unless vector"
)


@dataclass(frozen=True)
class Query:
    """A query of a dashboard."""

    dashboard: str
    panel: str
    ref: str
    expr: str
    instant: bool

    def __str__(self) -> str:
        return f"{self.dashboard}: {self.panel}: {self.ref}"


def dashboards() -> dict[str, Any]:
    """Return the compiled dashboards by uid."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(DASHBOARDS.glob("*.json"))}


def queries() -> Iterator[Query]:
    """Yield every query of every panel, annotation and variable."""
    for uid, dashboard in dashboards().items():
        for panel in dashboard["panels"]:
            for target in panel.get("targets", []):
                yield Query(uid, panel["title"], target["refId"], target["expr"], target.get("instant", False))
        for annotation in dashboard["annotations"].get("list", []):
            yield Query(uid, "annotation", annotation["name"], annotation["expr"], instant=False)
        for variable in dashboard.get("templating", {}).get("list", []):
            found = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"])
            assert found, variable
            yield Query(uid, "variable", variable["name"], f"group by ({found[2]}) ({found[1]})", instant=True)


def rules(kind: str) -> dict[str, Any]:
    """Return all rules by name; `kind` is `record` or `alert`."""
    groups = [group for path in sorted(RULES.glob("*.yml")) for group in yaml.safe_load(path.read_text())["groups"]]
    return {rule[kind]: rule for group in groups for rule in group["rules"] if kind in rule}


@cache
def declared_metrics() -> set[str]:
    """Return the names of all series that the services declare."""
    registry = new_registry()
    register_metrics(
        registry,
        Ledger(SendBook),
        max_streams=1,
        keepalive_time_seconds=1,
        open_streams=lambda: 0,
        expected_clients=("client",),
    )
    AcceptingServer(NotImplemented, registry)  # which is not started, and so never built
    metrics = ClientMetrics(registry, "client", Presence(60))
    metrics.know_by_numbers(True)
    metrics.end_stream(StreamEndedError(StatusCode.UNAVAILABLE, ""))
    families = text_string_to_metric_families(generate_latest(registry).decode())
    names = {sample.name for family in families for sample in family.samples}
    return names | {EXPIRY} | {metric.name for metric in (*SERVER_METRICS, *CLIENT_METRICS, *POOL_METRICS)}


def metric_names(expr: str) -> set[str]:
    """Return the names of the series that a PromQL expression reads."""
    bare = re.sub(r'"[^"]*"', "", expr)
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]", "", bare)
    bare = re.sub(r"\b(by|on|ignoring|group_left)\s*\([^)]*\)", "", bare)
    bare = re.sub(r"\boffset\s+\w+|@ end\(\)|\bNaN\b|\$\w+", "", bare)
    return set(re.findall(r"(?<![\w.:])[a-zA-Z_:][\w:]*", bare)) - set(_NOT_METRICS.split()) - {"group", "bool"}
