"""The list of alerts: what fires and what will, what each means, and the way to its section of the runbook."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.models import dashboard

from dashboards.board import panel_address
from dashboards.panels import Panel, cell, link, organize, properties, rows
from dashboards.queries import OURS, column
from dashboards.roles import GREEN, ORANGE, RED

RULES = Path(__file__).parents[1] / "prometheus" / "rules" / "alerts.yml"
RUNBOOK_UID = "runbook"

ABOUT_CHOSEN = 'client=~"$client|"'
"""Matches alerts about the chosen clients, and those that are about no client."""

SINCE = f"1000 * (ALERTS{{{OURS}, {ABOUT_CHOSEN}}} * ignoring (alertstate) group_left () ALERTS_FOR_STATE)"
"""Since when (Unix time in milliseconds) each alert is pending or fires."""

SPOKEN = {
    " for {{ $value | humanizeDuration }}": "",
    "{{ $value | humanizePercentage }}": "most",
    "{{ $labels.client }}": "the client",
    "{{ $labels.name }}": "of that name",
    "{{ $labels.job }}": "the target",
    "{{ $labels.instance }}": "",
}
"""What stands in a summary for what is filled in: the list has columns for labels, and for since when."""


@cache
def alert_rules() -> tuple[dict[str, Any], ...]:
    """Return the alerts, in the order of their file."""
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return tuple(rule for group in groups for rule in group["rules"] if "alert" in rule)


def meaning(rule: dict[str, Any]) -> str:
    """Return what an alert's summary says of whom it is about. Raises ValueError for what it cannot leave out."""
    text = re.sub(r"\{\{ with .*? end \}\}|^\{\{ \$labels\.client \}\} ", "", rule["annotations"]["summary"])
    for template, words in SPOKEN.items():
        text = text.replace(template, words)
    if "{{" in text:
        raise ValueError(f"the list of alerts cannot show the summary of {rule['alert']} without {text}")
    return " ".join(text.split())


def alert_list() -> Panel:
    """List the alerts that fire, and those that will if their reason lasts."""
    states = {"firing": RED, "pending": ORANGE, "none": GREEN}
    sections = {rule["alert"]: str(number) for number, rule in enumerate(alert_rules(), 1)}
    fields = {
        "alertstate": "State",
        "alertname": "Alert",
        "about": "About",
        "meaning": "What it says",
        "Value": "Since",
        "section": "Runbook",
    }
    expr = f"sum by (alertstate, alertname, about) ({_copied(SINCE, 'about', 'instance', 'name', 'client')})"
    expr = _copied(_copied(expr, "meaning", "alertname"), "section", "alertname")
    runbook = link("Open its section of the runbook", panel_address(RUNBOOK_UID, "${__data.fields.Runbook}"))
    return (
        rows(
            "Alerts",
            "What fires now, and what will fire if it lasts; a click on its section opens the runbook. Fast: none. "
            "Slow: ConsumerHeldBack, after 2 minutes.",
        )
        .with_target(column(f'{expr} or on () label_replace(1000 * vector(time()), "alertstate", "none", "", "")'))
        .with_transformation(organize(fields))
        .override_by_name(
            "State", [*properties(mappings=[_texts(states)], custom__align="center", custom__width=90), *cell(_COLORED)]
        )
        .override_by_name("Alert", properties(custom__width=190))
        .override_by_name("About", properties(custom__width=170))
        .override_by_name(
            "What it says", properties(mappings=[_texts({rule["alert"]: meaning(rule) for rule in alert_rules()})])
        )
        .override_by_name("Since", properties(unit="dateTimeFromNow", custom__width=165))
        .override_by_name(
            "Runbook", [*properties(mappings=[_texts(sections)], custom__align="center", custom__width=90), *runbook]
        )
        .sort_by([common_builders.TableSortByFieldState().display_name("State")])
    )


_COLORED = "color-background"


def _copied(expr: str, label: str, *sources: str) -> str:
    """Return the query with a label that is the last of these labels which is not empty."""
    for source in sources:
        expr = f'label_replace({expr}, "{label}", "$1", "{source}", "(.+)")'
    return expr


def _texts(shown: dict[str, str]) -> dashboard.ValueMap:
    """Return what shows a text as another one, or, where that is a colour, in it."""
    return dashboard.ValueMap(
        options={
            text: dashboard.ValueMappingResult(text=text, color=to, index=index)
            if to in (RED, ORANGE, GREEN)
            else dashboard.ValueMappingResult(text=to, index=index)
            for index, (text, to) in enumerate(shown.items())
        }
    )
