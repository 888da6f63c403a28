"""The compiled dashboards: up to date, readable, true where nothing is known, and plain enough for every Grafana."""

from __future__ import annotations

import json
from itertools import combinations

import pytest

from dashboards.__main__ import compile_all

from observed import DASHBOARDS, MADE_BY_PROMETHEUS, dashboards, declared_metrics, metric_names, queries, rules

BOARDS = dashboards()
PANELS = [(uid, panel) for uid, board in BOARDS.items() for panel in board["panels"] if panel["type"] != "text"]
PANEL_IDS = [f"{uid}-{panel['title']}" for uid, panel in PANELS]
each_panel = pytest.mark.parametrize(("uid", "panel"), PANELS, ids=PANEL_IDS)

OF_ALL_CLIENTS = {"Is all there?", "Server: streams open", "variable"}
"""What Backpressure shows whoever is chosen."""

ORIGINAL = "Stock updates sent x Stock updates processed"


def test_what_is_committed_is_what_the_sources_say(tmp_path):
    compile_all(tmp_path)
    compiled = {path.name: path.read_text() for path in tmp_path.iterdir()}
    committed = {path.name: path.read_text() for path in DASHBOARDS.iterdir()}
    assert compiled == committed, "run `make dashboards` and commit"


@pytest.mark.parametrize(("uid", "title"), [("backpressure", "Backpressure"), ("fleet", "Fleet")])
def test_dashboards_show_the_last_five_minutes_and_follow(uid, title):
    board = BOARDS[uid]
    assert (board["uid"], board["title"]) == (uid, title)
    assert board["time"] == {"from": "now-5m", "to": "now"}
    assert board["refresh"] == "5s"
    assert "id" not in board or board["id"] is None


def test_backpressure_has_the_variable_and_the_marks():
    board = BOARDS["backpressure"]
    (variable,) = board["templating"]["list"]
    assert (variable["name"], variable["multi"], variable["includeAll"]) == ("client", True, True)
    marks = board["annotations"]["list"]
    assert [mark["name"] for mark in marks] == ["stream opened", "stream ended"]
    for mark in marks:  # at any step, and at the moment itself
        assert "[$__interval] offset -$__interval" in mark["expr"]
        assert mark["useValueForTime"]


def test_the_original_panel_is_there_as_bars():
    (panel,) = (panel for _, panel in PANELS if panel["title"] == ORIGINAL)
    assert panel["fieldConfig"]["defaults"]["custom"]["drawStyle"] == "bars"
    legends = [target["legendFormat"] for target in panel["targets"]]
    assert legends[:2] == ["{{client}}: Stock updates sent", "{{client}}: Stock updates processed"]


@each_panel
def test_every_panel_says_what_to_see_in_few_words(uid, panel):
    assert panel["title"]
    assert panel["datasource"] == {"type": "prometheus", "uid": "prometheus"}
    assert "Fast" in panel["description"]
    assert "slow" in panel["description"].lower()
    assert len(panel["description"]) < 250
    assert "\n" not in panel["description"]


@each_panel
def test_panels_are_of_kinds_that_every_grafana_has(uid, panel):
    assert panel["type"] in {"stat", "gauge", "timeseries", "state-timeline", "heatmap", "table", "bargauge"}


@pytest.mark.parametrize("uid", BOARDS)
def test_panels_fill_the_grid_and_do_not_overlap(uid):
    places = [panel["gridPos"] for panel in BOARDS[uid]["panels"]]
    ids = [panel["id"] for panel in BOARDS[uid]["panels"]]
    assert len(set(ids)) == len(ids)
    cells = [{(x, y) for x in range(p["x"], p["x"] + p["w"]) for y in range(p["y"], p["y"] + p["h"])} for p in places]
    assert not any(one & other for one, other in combinations(cells, 2))
    assert sum(map(len, cells)) == 24 * max(p["y"] + p["h"] for p in places)


def test_titles_fit():
    """A column of the grid is 53 pixels wide at 1,280, a letter about 7.5; the mark of the description takes 40."""
    for _, panel in PANELS:
        assert len(panel["title"]) * 7.5 + 40 <= panel["gridPos"]["w"] * 53, panel["title"]


def test_the_columns_of_tables_fit_into_1000_pixels():
    for _, panel in PANELS:
        if panel["type"] == "table":
            values = [each for override in panel["fieldConfig"]["overrides"] for each in override["properties"]]
            widths = [each["value"] for each in values if each["id"] in ("custom.width", "custom.minWidth")]
            assert sum(widths) <= 1000 - 30, panel["title"]


def test_panels_of_backpressure_follow_the_variable():
    about_clients = [query for query in queries() if query.dashboard == "backpressure" and "client" in query.expr]
    assert about_clients
    for query in about_clients:
        assert "$client" in query.expr or query.panel in OF_ALL_CLIENTS, query


@pytest.mark.parametrize("query", list(queries()), ids=str)
def test_queries_name_only_metrics_that_exist(query):
    names = metric_names(query.expr)
    assert names
    assert names <= declared_metrics() | set(rules("record")) | MADE_BY_PROMETHEUS


def test_no_file_holds_what_only_one_grafana_has_or_knows():
    for board in BOARDS.values():
        assert "pluginVersion" not in json.dumps(board)
