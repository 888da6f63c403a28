"""Backpressure, the home dashboard: who is slow, how far the server is held back, and that nothing is lost."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard as dashboards
from grafana_foundation_sdk.models import common, dashboard

from dashboards.answers import blocked, ceiling_use, held_back, missed, oldest
from dashboards.common import (
    BLUE,
    CHOSEN,
    DATASOURCE,
    GREEN,
    GREY,
    RED,
    AnnotationBuilder,
    Panel,
    age_heatmap,
    board,
    lines,
    logarithmic,
    properties,
    query,
)
from dashboards.policies import policies
from dashboards.server import servers
from dashboards.tables import alerts, clients


def build() -> dashboard.Dashboard:
    """Return the dashboard."""
    builder = board(
        "backpressure",
        "Backpressure",
        "Who is slow, how far flow control holds the server back for it, and that nothing is lost.",
        (
            (5, ((held_back(), 6), (ceiling_use(), 5), (blocked(), 4), (missed(), 4), (oldest(), 5))),
            (9, ((sent_and_processed(), 14), (in_flight(), 10))),
            (7, ((sent_rate(), 8), (processed_rate(), 8), (blocked_by_client(), 8))),
            (
                7,
                (
                    (age_heatmap(f"client:stock_update_age_seconds_bucket:rate1m{{{CHOSEN}}}"), 8),
                    (age_by_client(), 8),
                    (dropped(), 8),
                ),
            ),
            policies(),
            (9, ((clients(), 24),)),
            (6, ((alerts(), 24),)),
            servers(),
        ),
    )
    builder.with_variable(
        dashboards.QueryVariable("client")
        .label("Client")
        .description("One client or several; all by default")
        .datasource(DATASOURCE)
        .query({"query": "label_values(client:flowcontrol_state:code, client)", "refId": "client", "qryType": 1})
        .refresh(dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(dashboard.VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".+")
        .current(dashboard.VariableOption(selected=True, text="All", value="$__all"))
    )
    builder.annotation(
        AnnotationBuilder("stream opened", f"client:flowcontrol_stream_opened:change5s{{{CHOSEN}}}", GREEN)
    )
    builder.annotation(AnnotationBuilder("stream ended", f"client:flowcontrol_stream_ended:change5s{{{CHOSEN}}}", RED))
    return builder.build()


def _bars(color_name: str, fill_opacity: int) -> list[dashboard.DynamicConfigValue]:
    return properties(color={"mode": "fixed", "fixedColor": color_name}, custom__fillOpacity=fill_opacity)


def sent_and_processed() -> Panel:
    """Show the original's two counts as bars."""
    return (
        lines(
            "Stock updates sent x Stock updates processed",
            "Updates sent to the chosen clients (blue) and processed by them (green), on the streams open now: both "
            "begin at 0 with the stream. Fast: the green fills the blue all along. Slow: sent stops while processed "
            "creeps on; what lies between is in flight. With several clients their sums are shown: choose one above "
            "to see it alone.",
            "none",
        )
        .with_target(query(f"sum(client:stock_updates_processed:sum{{{CHOSEN}}})", "Stock updates processed"))
        .with_target(query(f"sum(client:stock_updates_sent:sum{{{CHOSEN}}})", "Stock updates sent", "B"))
        .draw_style(common.GraphDrawStyle.BARS)
        .line_width(1)
        .max_data_points(60)
        .override_by_name("Stock updates sent", _bars(BLUE, 15))
        .override_by_name("Stock updates processed", _bars(GREEN, 75))
    )


def _dashed(color_name: str) -> list[dashboard.DynamicConfigValue]:
    return properties(
        color={"mode": "fixed", "fixedColor": color_name},
        custom__lineStyle={"fill": "dash", "dash": [8, 6]},
        custom__lineWidth=1,
    )


def in_flight() -> Panel:
    """Show what is in flight, and how much may be."""
    ceilings = f"client:flowcontrol_ceiling_messages:sum{{{CHOSEN}}}"
    return (
        lines(
            "Updates in flight, by client",
            "Sent by the server, not yet read by the client. Fast: near 0. Slow: climbs to the predicted ceiling and "
            "stays about there, below the bound (2 windows and 2 updates). A client whose window is autotuned has "
            "neither, and climbs on, up to 4 MiB. The lines are those of the largest window; "
            "where windows differ, the smallest has its ceiling too.",
            "none",
        )
        .with_target(query(f"client:flowcontrol_in_flight_messages:sum{{{CHOSEN}}}", "{{client}}"))
        .with_target(query(f"max({ceilings})", "predicted ceiling", "B"))
        .with_target(query(f"max(client:flowcontrol_bound_messages:sum{{{CHOSEN}}})", "bound", "C"))
        .with_target(query(f"min({ceilings}) < 0.9 * max({ceilings})", "ceiling of the smallest window", "D"))
        .override_by_name("ceiling of the smallest window", _dashed(GREY))
        .override_by_name("predicted ceiling", _dashed(GREY))
        .override_by_name("bound", _dashed(RED))
    )


def sent_rate() -> Panel:
    """Show what is sent to each client."""
    return lines(
        "Sent per second, by client",
        "Fast: the pace of the server, 10 a second by default. Slow: the same until the window is full, "
        "then only as many as the client processes.",
        "none",
    ).with_target(query(f"client:stock_updates_sent:rate1m{{{CHOSEN}}}", "{{client}}"))


def processed_rate() -> Panel:
    """Show what each client processes."""
    return lines(
        "Processed per second, by client",
        "Fast: as many as are sent. Slow: what the client's processing time allows, about 0.5 a second for the "
        "random 1, 2 or 3 s. Stopped: 0.",
        "none",
    ).with_target(query(f"client:stock_updates_processed:rate1m{{{CHOSEN}}}", "{{client}}"))


def blocked_by_client() -> Panel:
    """Show for whom the server waits."""
    return (
        lines(
            "Time writes are blocked, by client",
            "Share of the last minute in which a write to the client was blocked, the mean of its streams. "
            "Fast: 0 %. Slow: nearly 100 % once its window is full.",
            "percentunit",
        )
        .with_target(query(f"client:flowcontrol_blocked:ratio_rate1m{{{CHOSEN}}}", "{{client}}"))
        .max(1)
    )


def age_by_client() -> Panel:
    """Show how old the data is when it has been processed, client by client."""
    return logarithmic(
        lines(
            "Mean age when processed, by client",
            "Fast: a few milliseconds. Slow: it grows second by second until the window is full and all that is in "
            "flight has been worked off once, then stays. Stopped: no line. A logarithmic scale.",
            "s",
        ).with_target(query(f"client:stock_update_age_seconds:mean1m{{{CHOSEN}}}", "{{client}}"))
    )


def dropped() -> Panel:
    """Show what policies drop."""
    return lines(
        "Dropped by policy per second, by client",
        "Updates that the server did not send, as its policy says. Fast: 0. Slow: 0 with the policy pause; with "
        "conflate and drop-oldest what the client is too slow for.",
        "none",
    ).with_target(query(f"client:stock_updates_dropped:rate1m{{{CHOSEN}}}", "{{client}}"))
