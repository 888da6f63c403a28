"""Whoever is on call finds from each alert to what it means and what to do."""

from __future__ import annotations

import re

import pytest

from observed import OBS, dashboards, metric_names, rules
from observed import declared_metrics as declared

ALERTS = rules("alert")
RUNBOOK = (OBS.parent / "docs" / "runbook.md").read_text()
SECTIONS = {part.partition("\n")[0]: part for part in RUNBOOK.split("\n## ")[1:]}
PARTS = ("**What it means.**", "**What to look at.**", "**What to do.**")


def test_every_section_about_an_alert_is_about_one_that_exists():
    assert {name for name, text in SECTIONS.items() if PARTS[0] in text} == set(ALERTS)


@pytest.mark.parametrize("alert", ALERTS)
def test_every_alert_has_its_section(alert):
    positions = [SECTIONS[alert].find(part) for part in PARTS]
    assert -1 not in positions
    assert positions == sorted(positions)


@pytest.mark.parametrize(("alert", "rule"), ALERTS.items())
def test_every_alert_says_whom_it_is_about_how_bad_it_is_and_where_to_read_on(alert, rule):
    annotations = rule["annotations"]
    about = {
        "ClientMissing": "name",
        "TargetDown": "instance",
        "ServerNearStreamLimit": "instance",
        "PoolNearlyExhausted": "instance",
        "CertificateEnds": "instance",
        "RequestsNotTaken": "instance",
        "DescriptorsExhausted": "instance",
        "FeedFault": "instance",
        "LogEventsLost": "instance",
    }.get(alert, "client")
    assert f"$labels.{about}" in annotations["summary"]
    assert f"$labels.{about}" in annotations["description"]
    assert rule["labels"]["severity"] in ("warning", "critical")
    assert annotations["runbook_url"] == f"docs/runbook.md#{alert.lower()}"


def test_panels_that_the_runbook_names_exist():
    titles = {panel["title"] for dashboard in dashboards().values() for panel in dashboard["panels"]}
    looked_at = "".join(re.findall(r"\*\*What to look at\.\*\*(.*?)\*\*What to do", RUNBOOK, re.DOTALL))
    columns = {"In flight", "Missed"}
    # italics that begin with a capital: states and the like begin with a small letter
    named = set(re.findall(r"(?<!\*)\*([A-Z][^*\n]+)\*(?!\*)", looked_at)) - columns - {"Error", *ALERTS}
    assert named <= titles


def test_queries_that_the_runbook_shows_read_what_exists():
    shown = re.findall(r"'query=([^'{]+)'", RUNBOOK)
    assert shown
    names = set().union(*map(metric_names, shown))
    assert names <= declared() | set(rules("record"))
