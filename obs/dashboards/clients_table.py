"""The table of clients: a row each, and all that matters of it."""

from __future__ import annotations

from typing import Any

from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.builders import table
from grafana_foundation_sdk.models import common, dashboard

from dashboards.common import (
    CHOSEN,
    DATASOURCE,
    GREY,
    RED,
    SCRAPE_INTERVAL,
    Panel,
    color_by_thresholds,
    column,
    properties,
    state_mapping,
    thresholds,
)

COLUMNS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("Client", "", {"custom__width": 170}),
    ("State", f"client:flowcontrol_state:code{{{CHOSEN}}}", {"custom__width": 110}),
    ("Sent", f"client:stock_updates_sent:sum{{{CHOSEN}}}", {}),
    ("Processed", f"client:stock_updates_processed:sum{{{CHOSEN}}}", {}),
    ("In flight", f"client:flowcontrol_in_flight_messages:sum{{{CHOSEN}}}", {}),
    ("Blocked", f"client:flowcontrol_blocked:ratio_rate1m{{{CHOSEN}}}", {"unit": "percentunit"}),
    ("Age", f"client:stock_update_age_seconds:mean1m{{{CHOSEN}}}", {"unit": "s", "decimals": 1}),
    (
        "Missed",
        f"round(sum by (client) (increase(stock_client_missed_updates_total{{{CHOSEN}}}[$__range])))",
        {"thresholds": {"mode": "absolute", "steps": [{"value": None, "color": GREY}, {"value": 1, "color": RED}]}},
    ),
    (
        "Reconnects",
        f"round(sum by (client) (increase(stock_client_reconnects_total{{{CHOSEN}}}[$__range])))",
        {},
    ),
)
"""Of the table of clients: name, query (the label has none) and properties."""


def clients() -> Panel:
    """Tell everything of every client, a row each."""
    queries = [(chr(ord("A") + number), name, expr) for number, (name, expr, _) in enumerate(COLUMNS[1:])]
    panel = (
        table.Panel()
        .title("Clients")
        .description(
            "Sent and processed are counted on the streams open now; missed and reconnects in the shown time; age is "
            "the mean age of an update when processed, in the last minute. Fast: keeping up, sent = processed. "
            "Slow: held back, in flight about the ceiling, blocked nearly 100 %, and still nothing missed."
        )
        .datasource(DATASOURCE)
        .interval(SCRAPE_INTERVAL)
        .decimals(0)
        .no_value("-")
        .align(common.FieldTextAlignment.RIGHT)
        .with_transformation(dashboard.DataTransformerConfig(id_val="merge", options={}))
        .with_transformation(
            dashboard.DataTransformerConfig(
                id_val="organize",
                options={
                    "excludeByName": {"Time": True},
                    "indexByName": {"client": 0, **{f"Value #{ref}": ord(ref) for ref, _, _ in queries}},
                    "renameByName": {"client": "Client", **{f"Value #{ref}": name for ref, name, _ in queries}},
                },
            )
        )
        .sort_by([common_builders.TableSortByFieldState().display_name("State").desc(True)])
    )
    for ref, _, expr in queries:
        panel.with_target(column(expr, ref))
    for name, _, values in COLUMNS:
        panel.override_by_name(name, properties(**values))
    colored = {"type": "color-background", "mode": "basic"}
    return (
        panel.override_by_name("Client", properties(custom__align="left"))
        .override_by_name(
            "State",
            properties(
                mappings=[state_mapping()],
                custom__align="center",
                # the first is Grafana 9's, the second that of later ones
                custom__displayMode="color-background-solid",
                custom__cellOptions=colored,
            ),
        )
        .override_by_name(
            "Missed", properties(custom__displayMode="color-text", custom__cellOptions={"type": "color-text"})
        )
        .color_scheme(color_by_thresholds())
        .thresholds(thresholds((None, GREY)))
    )
