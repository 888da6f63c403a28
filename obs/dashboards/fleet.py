"""Fleet: many servers and clients at a glance; no panel grows with their number."""

from __future__ import annotations

from itertools import pairwise

from grafana_foundation_sdk.builders import bargauge
from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.models import common, dashboard

from dashboards.common import (
    BLUE,
    DATASOURCE,
    GREEN,
    ORANGE,
    RED,
    SCRAPE_INTERVAL,
    STATES,
    Panel,
    age_heatmap,
    answer,
    board,
    color,
    color_by_thresholds,
    instant,
    last,
    lines,
    logarithmic,
    properties,
    query,
    thresholds,
)
from dashboards.server import servers

QUANTILES = ((0.5, "median"), (0.9, "90 %"), (0.99, "99 %"), (1, "most"))
"""Shares of all, and what that share has at most is called."""


def build() -> dashboard.Dashboard:
    """Return the dashboard."""
    return board(
        "fleet",
        "Fleet",
        "Many servers and clients at a glance: how many are held back, which ones most, and how all are spread.",
        (
            (4, ((clients_by_state(), 10), (sent(), 4), (processed(), 4), (in_flight(), 3), (missed(), 3))),
            (7, ((states_over_time(), 12), (rates(), 12))),
            (9, ((most_blocked(), 12), (most_in_flight(), 12))),
            (8, ((in_flight_spread(), 12), (ceiling_use_spread(), 12))),
            (8, ((age_heatmap("client:stock_update_age_seconds_bucket:rate1m"), 12), (age_spread(), 12))),
            servers(),
        ),
    ).build()


def _count_in_state(code: int) -> str:
    return f"count(client:flowcontrol_state:code == {code}) or vector(0)"


def clients_by_state() -> Panel:
    """Count the clients in each state."""
    panel = answer(
        "Clients", "How many clients are in which state. Fast: all keep up. Slow: the slow ones are held back."
    )
    for code, name, color_name in reversed(STATES):
        panel.with_target(instant(_count_in_state(code), name, f"S{code}"))
        panel.override_by_name(name, properties(color={"mode": "fixed", "fixedColor": color_name}))
    return panel.orientation(common.VizOrientation.VERTICAL).color_mode(common.BigValueColorMode.VALUE)


def _total(title: str, description: str, expr: str) -> Panel:
    return (
        answer(title, description)
        .with_target(instant(expr, title))
        .text_mode(common.BigValueTextMode.VALUE)
        .color_mode(common.BigValueColorMode.VALUE)
        .color_scheme(color(BLUE))
        .unit("short")
        .no_value("no client")
    )


def sent() -> Panel:
    """Total the updates sent."""
    return _total(
        "Sent per second",
        "To all clients. Fast: clients times the server's pace. Slow: less, as held-back streams are not produced for.",
        "sum(client:stock_updates_sent:rate1m)",
    )


def processed() -> Panel:
    """Total the updates processed."""
    return _total(
        "Processed per second",
        "By all clients. Fast and, once all windows are full, slow: as many as are sent.",
        "sum(client:stock_updates_processed:rate1m)",
    )


def in_flight() -> Panel:
    """Total what is in flight."""
    return _total(
        "In flight",
        "To all clients. Fast: near 0. Slow: the ceilings of the held-back clients together.",
        "sum(client:flowcontrol_in_flight_messages:sum)",
    )


def missed() -> Panel:
    """Show that nothing is lost."""
    return (
        _total(
            "Updates missed",
            "By all clients in the shown time. Fast and slow: 0.",
            "round(sum(increase(stock_client_missed_updates_total[$__range])))",
        )
        .color_scheme(color_by_thresholds())
        .thresholds(thresholds((None, GREEN), (1, RED)))
        .decimals(0)
    )


def states_over_time() -> Panel:
    """Count the clients in each state over time."""
    panel = lines("Clients by state", "Fast: one block, keeping up. Slow: the share of those held back grows.", "short")
    for code, name, color_name in STATES:
        panel.with_target(query(_count_in_state(code), name, f"S{code}"))
        panel.override_by_name(name, properties(color={"mode": "fixed", "fixedColor": color_name}))
    return (
        panel.fill_opacity(60)
        .line_width(0)
        .stacking(common_builders.StackingConfig().mode(common.StackingMode.NORMAL).group("A"))
    )


def rates() -> Panel:
    """Compare what is sent and what is processed."""
    return (
        lines(
            "Sent and processed per second, all clients",
            "Fast: one line upon the other. Slow: sent is above until the windows are full, then falls to processed.",
            "short",
        )
        .with_target(query("sum(client:stock_updates_sent:rate1m)", "sent"))
        .with_target(query("sum(client:stock_updates_processed:rate1m)", "processed", "B"))
        .override_by_name("sent", properties(color={"mode": "fixed", "fixedColor": BLUE}))
        .override_by_name("processed", properties(color={"mode": "fixed", "fixedColor": GREEN}))
    )


def _bars(title: str, description: str) -> bargauge.Panel:
    return (
        bargauge.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .interval(SCRAPE_INTERVAL)
        .reduce_options(last())
        .orientation(common.VizOrientation.HORIZONTAL)
        .display_mode(common.BarGaugeDisplayMode.BASIC)
        .show_unfilled(True)
        .color_scheme(color_by_thresholds())
        .min(0)
        .no_value("none")
    )


def most_blocked() -> Panel:
    """Name those for whom the server waits most."""
    return (
        _bars(
            "Top 10 held-back clients, by time blocked",
            "Those for whom the server waited the largest share of the last minute. Fast: none. Slow: the slow ones.",
        )
        .with_target(
            instant(
                "sort_desc(topk(10, client:flowcontrol_blocked:ratio_rate1m and client:flowcontrol_state:code >= 2))",
                "{{client}}",
            )
        )
        .unit("percentunit")
        .decimals(0)
        .max(1)
        .thresholds(thresholds((None, GREEN), (0.5, ORANGE)))
    )


def most_in_flight() -> Panel:
    """Name those with most in flight."""
    return (
        _bars(
            "Top 10 clients, by use of the predicted ceiling",
            "In flight in percent of the ceiling. Fast: near 0. Slow: about 100 %, at most 200 %. "
            "Autotuned clients have no ceiling: they are in the spread below.",
        )
        .with_target(instant("sort_desc(topk(10, client:flowcontrol_ceiling_use:ratio))", "{{client}}"))
        .unit("percentunit")
        .decimals(0)
        .max(2)
        .thresholds(thresholds((None, GREEN), (0.8, ORANGE), (2, RED)))
    )


def in_flight_spread() -> Panel:
    """Show how in-flight updates are spread over the clients, over time."""
    panel = lines(
        "In flight, spread over the clients",
        "Fast: all lines near 0. Slow: the upper lines climb to the ceiling; the more lines, the more slow clients.",
        "short",
    )
    for number, (share, name) in enumerate(QUANTILES):
        panel.with_target(query(f"quantile({share}, client:flowcontrol_in_flight_messages:sum)", name, f"Q{number}"))
    return panel


def ceiling_use_spread() -> Panel:
    """Count the clients by how much of their ceiling they use, now."""
    use = "client:flowcontrol_ceiling_use:ratio"
    panel = (
        _bars("Clients by use of the predicted ceiling", "Fast: all in the first bar. Slow: the slow ones about 100 %.")
        .decimals(0)
        .color_scheme(color(BLUE))
    )
    for number, (low, high) in enumerate(pairwise((0, 0.1, 0.5, 0.9, 1.1, 1.5, 2))):
        expr = f"count({use} >= {low} and {use} < {high}) or vector(0)"
        panel.with_target(instant(expr, f"{low:.0%} to {high:.0%}", f"U{number}"))
    return panel.with_target(instant(f"count({use} >= 2) or vector(0)", "200% and more", "V")).with_target(
        instant("count(client:flowcontrol_window_bytes:sum == 0) or vector(0)", "autotuned", "W")
    )


def age_spread() -> Panel:
    """Show how old the data is, over all clients."""
    panel = logarithmic(
        lines(
            "Age when processed, spread over the updates",
            "Fast: all lines at a few milliseconds. Slow: the upper lines climb to minutes.",
            "s",
        )
    )
    for number, (share, name) in enumerate(QUANTILES[:-1]):
        expr = f"histogram_quantile({share}, sum by (le) (client:stock_update_age_seconds_bucket:rate1m))"
        panel.with_target(query(expr, name, f"Q{number}"))
    return panel
