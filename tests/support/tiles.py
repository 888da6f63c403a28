"""What a panel of figures shows: its queries asked of a Prometheus, and told as Grafana tells the answers."""

from __future__ import annotations

import math
import re
import time
from typing import Any, NamedTuple

from observed import dashboards
from prometheus_tools import Prometheus

RANGE_SECONDS = 60


class Shown(NamedTuple):
    """A figure: the name of its series, its text, and the colour of both."""

    name: str
    text: str
    color: str


def panel(dashboard: str, title: str) -> Any:
    """Return a panel of the compiled dashboards."""
    (found,) = (panel for panel in dashboards()[dashboard]["panels"] if panel["title"] == title)
    return found


def filled_in(expr: str) -> str:
    """Return a query with Grafana's variables: all clients, the last minute, a step of a second."""
    for name, value in (
        ("$client", ".+"),
        ("$__range_s", str(RANGE_SECONDS)),
        ("$__range", f"{RANGE_SECONDS}s"),
        ("$__interval", "1s"),
    ):
        expr = expr.replace(name, value)
    return expr


def asked(prometheus: Prometheus, expr: str, *, instant: bool) -> list[tuple[dict[str, str], list[float]]]:
    """Return the series that Grafana would get, with their labels; what is no number is left out."""
    if instant:
        answer = [(each["metric"], [each["value"]]) for each in prometheus.query(filled_in(expr))]
    else:
        now = time.time()
        span = {"start": now - RANGE_SECONDS, "end": now, "step": 1}
        result = prometheus.get("query_range", query=filled_in(expr), **span)["result"]
        answer = [(each["metric"], each["values"]) for each in result]
    numbers = [(labels, [float(value) for _, value in values]) for labels, values in answer]
    finite = [(labels, [value for value in values if math.isfinite(value)]) for labels, values in numbers]
    return [(labels, values) for labels, values in finite if values]


def shown(prometheus: Prometheus, dashboard: str, title: str) -> set[Shown]:
    """Return what a panel of figures shows now."""
    it = panel(dashboard, title)
    defaults = it["fieldConfig"]["defaults"]
    figures = {
        _told(value, _name(target["legendFormat"], labels), _config(it, target["refId"]))
        for target in it["targets"]
        for labels, (value,) in asked(prometheus, target["expr"], instant=True)
    }
    return figures or {Shown("", defaults["noValue"], color_of(defaults, -math.inf))}


def color_of(config: dict[str, Any], value: float) -> str:
    """Return the colour that thresholds give a value; minus infinity stands for none."""
    steps = config["thresholds"]["steps"]
    return str([step["color"] for step in steps if step["value"] is None or step["value"] <= value][-1])


def _config(it: dict[str, Any], ref: str) -> dict[str, Any]:
    config = dict(it["fieldConfig"]["defaults"])
    for override in it["fieldConfig"].get("overrides", []):
        if override["matcher"] == {"id": "byFrameRefID", "options": ref}:
            config |= {each["id"]: each["value"] for each in override["properties"]}
    return config


def _name(legend: str, labels: dict[str, str]) -> str:
    return re.sub(r"\{\{(\w+)\}\}", lambda found: labels.get(found[1], ""), legend).strip(":\N{NO-BREAK SPACE}")


def _told(value: float, name: str, config: dict[str, Any]) -> Shown:
    for mapping in config.get("mappings", []):
        if result := mapping["options"].get(f"{value:g}"):
            return Shown(name, result["text"], result["color"])
    return Shown(name, f"{value:g}", color_of(config, value))
