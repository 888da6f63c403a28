"""The tables: a row a client with all that matters of it, and a row an alert."""

from __future__ import annotations

from typing import Any

from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.builders import table
from grafana_foundation_sdk.models import common, dashboard

from dashboards.common import (
    CHOSEN,
    DATASOURCE,
    GREY,
    ORANGE,
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
    ("State", f"client:flowcontrol_state:code{{{CHOSEN}}}", {}),
    ("Sent", f"client:stock_updates_sent:sum{{{CHOSEN}}}", {}),
    ("Processed", f"client:stock_updates_processed:sum{{{CHOSEN}}}", {}),
    ("In flight", f"client:flowcontrol_in_flight_messages:sum{{{CHOSEN}}}", {}),
    ("Blocked", f"client:flowcontrol_blocked:ratio_rate1m{{{CHOSEN}}}", {"unit": "percentunit"}),
    ("Age", f"client:stock_update_age_seconds:mean1m{{{CHOSEN}}}", {"unit": "s", "decimals": 1}),
    ("Missed", f"round(increase(stock_client_missed_updates_total{{{CHOSEN}}}[$__range]))", {}),
    ("Reconnects", f"round(increase(stock_client_reconnects_total{{{CHOSEN}}}[$__range]))", {}),
)
"""Of the table of clients: name, query and properties."""

ALERTS = """label_replace(
  label_replace(
    1000 * (ALERTS{client=~"$client|"} * ignoring (alertstate) group_left () ALERTS_FOR_STATE),
    "about", "$1", "instance", "(.+)"
  ),
  "about", "$1", "client", "(.+)"
)"""
"""Since when (Unix time in milliseconds) each alert is pending or fires, about a client or else about an instance."""


def _table(title: str, description: str) -> table.Panel:
    return (
        table.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .interval(SCRAPE_INTERVAL)
        .color_scheme(color_by_thresholds())
        .thresholds(thresholds((None, GREY)))
    )


def _organize(names: dict[str, str]) -> dashboard.DataTransformerConfig:
    """Show the fields in `names` in this order under these names, and hide `Time`."""
    return dashboard.DataTransformerConfig(
        id_val="organize",
        options={
            "excludeByName": {"Time": True},
            "indexByName": {field: index for index, field in enumerate(names)},
            "renameByName": names,
        },
    )


def _cell(kind: str) -> list[dashboard.DynamicConfigValue]:
    """Return how cells are coloured: the first is Grafana 9's, the second that of later ones."""
    old = f"{kind}-solid" if kind == "color-background" else kind
    options = {"type": kind, "mode": "basic"} if kind == "color-background" else {"type": kind}
    return properties(custom__displayMode=old, custom__cellOptions=options)


def clients() -> Panel:
    """Tell everything of every client, a row each."""
    panel = _table(
        "Clients",
        "Sent and processed are counted on the streams open now; missed and reconnects in the shown time; age is the "
        "mean age of an update when processed, in the last minute. Fast: keeping up, sent = processed. Slow: held "
        "back, in flight about the ceiling, blocked nearly 100 %, and still nothing missed.",
    )
    refs = [chr(ord("A") + number) for number in range(len(COLUMNS))]
    for ref, (_, expr, _) in zip(refs, COLUMNS, strict=True):
        panel.with_target(column(f"sum by (client) ({expr})", ref))
    panel.with_transformation(dashboard.DataTransformerConfig(id_val="merge", options={}))
    names = {f"Value #{ref}": name for ref, (name, _, _) in zip(refs, COLUMNS, strict=True)}
    panel.with_transformation(_organize({"client": "Client", **names}))
    for name, _, values in COLUMNS:
        panel.override_by_name(name, properties(custom__width=115, **values))
    missed_steps = [{"value": None, "color": GREY}, {"value": 1, "color": RED}]
    return (
        panel.decimals(0)
        .no_value("-")
        .align(common.FieldTextAlignment.RIGHT)
        .override_by_name("Client", properties(custom__align="left", custom__minWidth=200))
        .override_by_name(
            "State", [*properties(mappings=[state_mapping()], custom__align="center"), *_cell("color-background")]
        )
        .override_by_name(
            "Missed",
            [*properties(thresholds={"mode": "absolute", "steps": missed_steps}), *_cell("color-text")],
        )
        .sort_by([common_builders.TableSortByFieldState().display_name("State").desc(True)])
    )


def alerts() -> Panel:
    """List the alerts that fire, and those that will if their reason lasts."""
    states = dashboard.ValueMap(
        options={
            "firing": dashboard.ValueMappingResult(text="firing", color=RED, index=0),
            "pending": dashboard.ValueMappingResult(text="pending", color=ORANGE, index=1),
        }
    )
    names = {"alertstate": "State", "alertname": "Alert", "about": "About", "severity": "Severity", "Value": "Since"}
    return (
        _table(
            "Alerts",
            "What fires now, and what will fire if it lasts. What each alert means and what to do: docs/runbook.md. "
            "Fast: none. Slow: ConsumerHeldBack, after 2 minutes.",
        )
        .with_target(column(f"sum by (alertstate, alertname, about, severity) ({ALERTS})"))
        .with_transformation(_organize(names))
        .no_value("none")
        .override_by_name(
            "State",
            [*properties(mappings=[states], custom__align="center", custom__width=115), *_cell("color-background")],
        )
        .override_by_name("Since", properties(unit="dateTimeFromNow", custom__width=160))
        .sort_by([common_builders.TableSortByFieldState().display_name("State")])
    )
