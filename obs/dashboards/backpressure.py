"""Backpressure, the home dashboard: who is slow, how far the server is held back, and that nothing is lost."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard as dashboards
from grafana_foundation_sdk.models import dashboard

from dashboards import by_client
from dashboards.alert_list import ABOUT_CHOSEN, alert_list
from dashboards.answers import blocked, ceiling_use, held_back, lost, oldest
from dashboards.banner import banner
from dashboards.board import AnnotationBuilder, board, panel_address
from dashboards.clients import clients
from dashboards.headline import sent_and_processed
from dashboards.panels import age_heatmap, states_over_time
from dashboards.queries import CHOSEN, DATASOURCE, STATE, of_chosen
from dashboards.roles import GREEN, RED
from dashboards.server import servers

UID = "backpressure"
ALERT_LIST = 13
"""Number of the panel that lists the alerts."""


def build() -> dashboard.Dashboard:
    """Return the dashboard."""
    builder = board(
        UID,
        "Backpressure",
        "Who is slow, how far flow control holds the server back for it, and that nothing is lost.",
        (
            banner(f'alertstate="firing",{ABOUT_CHOSEN}', panel_address(UID, ALERT_LIST)),
            (4, ((held_back(), 6), (ceiling_use(), 4), (blocked(), 4), (lost(), 6), (oldest(), 4))),
            (7, ((clients(f"/d/{UID}"), 24),)),
            (9, ((sent_and_processed(), 12), (by_client.in_flight(), 12))),
            (7, ((states_over_time(), 12), (by_client.age(), 12))),
            (7, ((alert_list(), 24),)),
            (7, ((by_client.sent_rate(), 8), (by_client.processed_rate(), 8), (by_client.blocked(), 8))),
            (7, ((age_heatmap(CHOSEN), 8), (by_client.dropped(), 8), (by_client.unaccounted(), 8))),
            servers(),
        ),
    )
    builder.with_variable(
        dashboards.QueryVariable("client")
        .label("Client")
        .description("One client or several; all by default")
        .datasource(DATASOURCE)
        .query({"query": f"label_values({STATE}, client)", "refId": "client", "qryType": 1})
        .refresh(dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(dashboard.VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".+")
        .current(dashboard.VariableOption(selected=True, text="All", value="$__all"))
    )
    for what, color in (("opened", GREEN), ("ended", RED)):
        mark = of_chosen(f"client:flowcontrol_stream_{what}:change5s")
        moments = f"1000 * max_over_time({mark}[$__interval] offset -$__interval)"
        builder.annotation(AnnotationBuilder(f"stream {what}", moments, color))
    return builder.build()
