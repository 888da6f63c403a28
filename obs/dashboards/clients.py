"""The table of clients: a row each, with all that matters of it."""

from __future__ import annotations

from typing import Any

from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.models import common, dashboard

from dashboards.answers import DROPPED, MISSED
from dashboards.panels import Panel, cell, link, organize, properties, rows
from dashboards.queries import CHOSEN, STATE, column, counted, of_chosen
from dashboards.roles import GREY, ORANGE, RED, STATES, names, steps

_TEXT = "text"
"""Grafana's own colour of text: a figure that is neither good nor bad."""


COLUMNS: tuple[tuple[str, str, int, dict[str, Any]], ...] = (
    ("State", of_chosen(STATE), 95, {}),
    ("Sent", of_chosen("client:stock_updates_sent:sum"), 80, {}),
    ("Processed", of_chosen("client:stock_updates_processed:sum"), 90, {}),
    ("In flight", of_chosen("client:flowcontrol_in_flight_messages:sum"), 75, {}),
    ("Blocked", of_chosen("client:flowcontrol_blocked:ratio_rate1m"), 72, {"unit": "percentunit"}),
    ("Age", of_chosen("client:stock_update_age_seconds:mean1m"), 80, {"unit": "s", "decimals": 1}),
    ("Missed", f"round({counted(MISSED, CHOSEN)})", 70, {}),
    ("Dropped", f"round({counted(DROPPED, CHOSEN)})", 78, {}),
    ("Reconnects", f"round({counted('stock_client_reconnects_total', CHOSEN)})", 98, {}),
)
"""Name, query, width in pixels and properties."""

_EACH = of_chosen(STATE)
"""A value for each client, so that a column of which nothing is known stays, with a dash."""

POLICY = f"topk by (client) (1, sum by (client, policy) ({of_chosen('flowcontrol_server_policy_streams')} > 0))"


def clients(dashboard_address: str) -> Panel:
    """Tell everything of every client; its name is a link to it alone."""
    panel = rows(
        "Clients",
        "Sent and processed on the streams open now; missed, dropped and reconnects in the shown time. "
        "Fast: keeping up. Slow: held back, in flight about the ceiling, and nothing missed.",
    )
    refs = [chr(ord("A") + number) for number in range(len(COLUMNS))]
    for ref, (_, expr, _, _) in zip(refs, COLUMNS, strict=True):
        panel.with_target(column(f"sum by (client) ({expr}) or on (client) NaN * {_EACH}", ref))
    panel.with_target(column(f'{POLICY} or on (client) label_replace(0 * {_EACH}, "policy", "-", "", "")', "P"))
    panel.with_transformation(dashboard.DataTransformerConfig(id_val="merge", options={}))
    fields = {f"Value #{ref}": name for ref, (name, *_) in zip(refs, COLUMNS, strict=True)}
    order = {"client": "Client", "Value #A": "State", "policy": "Policy", **fields}
    panel.with_transformation(organize(order, hidden=("Time", "Value #P")))
    no_number = dashboard.SpecialValueMap(
        options=dashboard.DashboardSpecialValueMapOptions(
            match=dashboard.SpecialValueMatch.NA_N, result=dashboard.ValueMappingResult(text="-", color=GREY)
        )
    )
    for name, _, width, values in COLUMNS:
        panel.override_by_name(name, properties(custom__width=width, mappings=[no_number], **values))
    alone = f"{dashboard_address}?${{__url_time_range}}&var-client=${{__value.raw:percentencode}}"
    return (
        panel.decimals(0)
        .align(common.FieldTextAlignment.RIGHT)
        .override_by_name(
            "Client",
            [*properties(custom__align="left", custom__minWidth=130), *link("Show ${__value.raw} alone", alone)],
        )
        .override_by_name("Policy", properties(custom__align="left", custom__width=95))
        .override_by_name(
            "State", [*properties(mappings=[names(*STATES)], custom__align="center"), *cell("color-background")]
        )
        .override_by_name("Missed", _text_from_one(RED))
        .override_by_name("Dropped", _text_from_one(ORANGE))
        .sort_by([common_builders.TableSortByFieldState().display_name("State").desc(True)])
    )


def _text_from_one(color: str) -> list[dashboard.DynamicConfigValue]:
    return [*properties(thresholds=steps((0, _TEXT), (1, color))), *cell("color-text")]
