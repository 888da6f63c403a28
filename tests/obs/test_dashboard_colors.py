"""A colour means the same on every panel, and what is not known is grey: never green, and never a zero."""

from __future__ import annotations

import re
from typing import Any

import pytest

from dashboards.roles import BOUND, CEILING, GREY, STATES

from observed import dashboards

PANELS = [(uid, panel) for uid, board in dashboards().items() for panel in board["panels"] if panel["type"] != "text"]
each_panel = pytest.mark.parametrize(("uid", "panel"), PANELS, ids=[f"{uid}-{panel['title']}" for uid, panel in PANELS])

FIGURES = {"stat", "gauge", "bargauge", "table"}
BAD = re.compile("red|orange|purple")
COLOR_OF = {state.name: state.color for state in STATES}

KNOWN_ZEROS = {"Alerts firing"}
"""Where no series is a zero by itself: Prometheus answers, and has no such alert."""


def properties(panel: Any, name: str) -> list[Any]:
    config = panel.get("fieldConfig") or {"defaults": {}}  # a heatmap has none
    overridden = [each for override in config.get("overrides", []) for each in override["properties"]]
    default = [config["defaults"][name]] if name in config["defaults"] else []
    return default + [each["value"] for each in overridden if each["id"] == name]


@each_panel
def test_no_data_is_never_green(uid, panel):
    for thresholds in properties(panel, "thresholds"):
        base, *steps = thresholds["steps"]
        assert base["value"] is None
        assert base["color"] == GREY
        assert all(step["value"] is not None for step in steps)
    if panel["type"] in FIGURES:
        assert properties(panel, "thresholds")
        assert properties(panel, "noValue")[0].startswith("no data")
        assert panel["fieldConfig"]["defaults"]["color"] in (
            {"mode": "thresholds"},
            {"mode": "fixed", "fixedColor": GREY},
        )
        for mapping in (each for mappings in properties(panel, "mappings") for each in mappings):
            if mapping["type"] == "special":
                assert mapping["options"]["result"]["color"] == GREY


@each_panel
def test_a_zero_is_known_or_not_shown(uid, panel):
    for target in panel["targets"]:
        made_up = re.search(r"or vector\((\d+)\)", target["expr"])
        assert made_up is None or panel["title"] in KNOWN_ZEROS, target["expr"]


@each_panel
def test_a_zero_of_something_bad_has_no_alarming_colour(uid, panel):
    for thresholds in properties(panel, "thresholds"):
        alarming = [step["value"] for step in thresholds["steps"] if BAD.search(step["color"])]
        assert all(value > 0 for value in alarming)


@each_panel
def test_a_state_has_one_colour_wherever_it_is_named(uid, panel):
    for mapping in (each for mappings in properties(panel, "mappings") for each in mappings):
        if mapping["type"] == "value":
            for result in mapping["options"].values():
                assert COLOR_OF.get(result["text"], result.get("color")) == result.get("color")


LINES = [
    (panel["title"], target, override)
    for _, panel in PANELS
    if panel["type"] == "timeseries"
    for target in panel["targets"]
    for override in panel["fieldConfig"].get("overrides", [])
    if override["matcher"] == {"id": "byFrameRefID", "options": target["refId"]}
]


def test_every_line_has_the_colour_of_its_role():
    """Those of the servers alone are told apart by Grafana's own colours."""
    seen = set()
    for title, target, override in LINES:
        color = next(each["value"] for each in override["properties"] if each["id"] == "color")["fixedColor"]
        codes = {int(code) for code in re.findall(r"@ end\(\) == (\d)", target["expr"])}
        if "client:flowcontrol_ceiling_messages:sum" in target["expr"]:
            expected = CEILING
        elif "client:flowcontrol_bound_messages:sum" in target["expr"]:
            expected = BOUND
        elif codes:
            expected = next(state.color for state in STATES if state.code in codes) if len(codes) == 1 else GREY
        else:
            continue
        assert color == expected, f"{title}: {target['expr']}"
        seen.add(color)
    assert seen == {CEILING, BOUND, GREY, *(state.color for state in STATES if 1 <= state.code <= 4)}


def test_ceilings_are_drawn_on_top():
    for title in ("Updates in flight, by client", "Stock updates sent x Stock updates processed"):
        (panel,) = (panel for _, panel in PANELS if panel["title"] == title)
        assert "ceiling" in panel["targets"][-1]["expr"]
