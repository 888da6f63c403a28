"""From the number of alerts to their list, and from there to what each means and what to do."""

from __future__ import annotations

import re

import pytest

from dashboards.alert_list import meaning

from observed import dashboards, rules
from tiles import panel

ALERTS = rules("alert")
RUNBOOK = {each["id"]: each for each in dashboards()["runbook"]["panels"]}
LIST = panel("backpressure", "Alerts")


def texts(column: str) -> dict[str, str]:
    (override,) = (each for each in LIST["fieldConfig"]["overrides"] if each["matcher"]["options"] == column)
    (mappings,) = (each["value"] for each in override["properties"] if each["id"] == "mappings")
    return {value: result["text"] for value, result in mappings[0]["options"].items()}


@pytest.mark.parametrize("uid", ["backpressure", "fleet"])
def test_the_number_of_alerts_leads_to_their_list(uid):
    (override,) = panel(uid, "Alerts firing")["fieldConfig"]["overrides"]
    (link,) = (each["value"][0] for each in override["properties"] if each["id"] == "links")
    assert link["url"] == f"/d/backpressure?viewPanel={LIST['id']}"


@pytest.mark.parametrize("alert", ALERTS)
def test_every_alert_is_listed_with_its_summary_and_its_section(alert):
    assert texts("What it says")[alert] == meaning(ALERTS[alert])
    section = RUNBOOK[int(texts("Runbook")[alert])]
    assert section["title"] == f"{section['id']}. {alert}"
    assert "**What to do.**" in section["options"]["content"]


def test_a_summary_that_cannot_be_listed_is_refused():
    with pytest.raises(ValueError, match=r"Strange.*printf"):
        meaning({"alert": "Strange", "annotations": {"summary": '{{ $labels.client }} {{ printf "%d" 1 }}'}})


def test_links_of_the_runbook_hold_in_grafana():
    content = "".join(each["options"]["content"] for each in RUNBOOK.values())
    targets = re.findall(r"\]\(([^)]+)\)", content)
    assert "/d/runbook?viewPanel=" in "".join(targets)
    for target in targets:
        inside = re.fullmatch(r"/d/runbook\?viewPanel=(\d+)", target)
        assert int(inside[1]) in RUNBOOK if inside else target.startswith("http")
