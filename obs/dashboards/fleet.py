"""Fleet: many servers and clients at a glance; no panel grows with their number."""

from __future__ import annotations

from itertools import pairwise

from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.models import common, dashboard

from dashboards.answers import LOSS_NOT_KNOWN, dropped, missed
from dashboards.banner import banner
from dashboards.board import board, panel_address
from dashboards.panels import (
    CLIENT_NAME,
    Panel,
    age_heatmap,
    answer,
    bars,
    colored,
    lines,
    logarithmic_seconds,
    named,
    properties,
    text_size,
)
from dashboards.queries import STATE, instant, query
from dashboards.roles import (
    BLUE,
    BOUND,
    GREEN,
    GREY,
    HELD_BACK,
    KEEPING_UP,
    ORANGE,
    PROCESSED,
    RED,
    SENT,
    STATES,
    STOPPED,
    State,
    fixed,
    known,
    names,
    steps,
)
from dashboards.server import servers

ALWAYS_COUNTED = (KEEPING_UP, HELD_BACK, STOPPED)
"""States whose number is shown when it is zero, too."""

QUANTILES = ((0.5, "median", GREEN), (0.9, "90 %", "semi-dark-yellow"), (0.99, "99 %", ORANGE))
"""Shares of all, what the most that they have is called, and its colour."""

CEILING_USE = "client:flowcontrol_ceiling_use:ratio"


def build(alert_list: int) -> dashboard.Dashboard:
    """Return the dashboard; `alert_list` is the number of the panel of Backpressure that lists the alerts."""
    return board(
        "fleet",
        "Fleet",
        "Many servers and clients at a glance: how many are held back, which ones most, and how all are spread.",
        (
            banner('alertstate="firing"', panel_address("backpressure", alert_list)),
            (4, ((clients_by_state(), 8), (sent(), 4), (processed(), 4), (in_flight(), 3), (lost(), 5))),
            (8, ((states_over_time(), 12), (rates(), 12))),
            (9, ((most_blocked(), 12), (most_in_flight(), 12))),
            (8, ((ceiling_use_spread(), 8), (age_heatmap(), 8), (age_spread(), 8))),
            servers(),
        ),
    ).build()


def _count(state: State) -> str:
    """Return how many clients are in a state: a zero only where states are known at all."""
    zero = f" or 0 * count({STATE})" if state in ALWAYS_COUNTED else ""
    return f"count({STATE} == {state.code}){zero}"


def clients_by_state() -> Panel:
    """Count the clients in each state."""
    panel = answer(
        "Clients by state", "How many clients are in which state. Fast: all keep up. Slow: the slow ones are held back."
    )
    for state in STATES:
        panel.with_target(instant(_count(state), named(state.name), f"S{state.code}"))
        panel.override_by_query(f"S{state.code}", properties(thresholds=steps((1, state.color))))
    return panel.orientation(common.VizOrientation.VERTICAL).text(text_size(12, 24))


def _total(title: str, description: str, expr: str) -> Panel:
    return (
        answer(title, description)
        .with_target(instant(expr, title))
        .text_mode(common.BigValueTextMode.VALUE)
        .color_mode(common.BigValueColorMode.VALUE)
        .thresholds(known((0, BLUE)))
        .unit("short")
    )


def sent() -> Panel:
    """Total the updates sent."""
    return _total(
        "Sent per second",
        "To all clients. Fast: clients times the server's pace. Slow: less, as nothing is made for who is held back.",
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


def lost() -> Panel:
    """Show what is lost, and beside it what was left out on purpose."""
    return (
        answer("Missed, and dropped", "By all clients in the shown time. Fast and slow: 0 missed.")
        .with_target(instant(missed(), named("missed")))
        .with_target(instant(dropped(), named("dropped"), "B"))
        .orientation(common.VizOrientation.VERTICAL)
        .unit("short")
        .decimals(0)
        .mappings([names(LOSS_NOT_KNOWN)])
        .text(text_size(12, 20))
        .thresholds(known((0, GREEN), (1, RED)))
        .override_by_query("B", properties(thresholds=steps((0, GREEN), (1, ORANGE))))
    )


def states_over_time() -> Panel:
    """Count the clients in each state over time."""
    panel = lines(
        "Clients in each state over time",
        "Fast: one block, keeping up. Slow: the share of those held back grows.",
        "short",
    )
    for state in STATES:
        panel.with_target(query(_count(state), state.name, f"S{state.code}"))
        panel.override_by_query(f"S{state.code}", colored(state.color))
    return (
        panel.fill_opacity(60)
        .line_width(0)
        .decimals(0)
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
        .override_by_query("A", colored(SENT))
        .override_by_query("B", colored(PROCESSED))
    )


def most_blocked() -> Panel:
    """Name those for whom the server waits most."""
    return (
        bars(
            "Top 10 clients, by time blocked",
            "Those for whom the server waited the largest share of the last minute. Fast: 0 %. Slow: nearly 100 %.",
        )
        .with_target(instant("sort_desc(topk(10, client:flowcontrol_blocked:ratio_rate1m))", "{{client}}"))
        .display_name(CLIENT_NAME)
        .unit("percentunit")
        .decimals(0)
        .max(1)
        .thresholds(known((0, GREEN), (0.5, ORANGE)))
    )


def most_in_flight() -> Panel:
    """Name those with most in flight."""
    return (
        bars(
            "Top 10 clients, by use of the predicted ceiling",
            "In flight in percent of the ceiling; autotuned clients have none. Fast: near 0. Slow: about 100 %, "
            "at most 200 %.",
        )
        .with_target(instant(f"sort_desc(topk(10, {CEILING_USE}))", "{{client}}"))
        .display_name(CLIENT_NAME)
        .unit("percentunit")
        .decimals(0)
        .max(2)
        .thresholds(known((0, GREEN), (0.8, ORANGE), (2, BOUND)))
    )


def ceiling_use_spread() -> Panel:
    """Count the clients by how much of their ceiling they use, now."""
    panel = bars(
        "Clients by use of the predicted ceiling",
        "How many clients use how much. Fast: all in the first bar. Slow: the slow ones about 100 %.",
    )
    known_at_all = f"0 * count({STATE})"
    for number, (low, high) in enumerate(pairwise((0, 0.1, 0.5, 0.9, 1.1, 1.5, 2))):
        expr = f"count({CEILING_USE} >= {low} < {high}) or {known_at_all}"
        panel.with_target(instant(expr, f"{100 * low:.0f} to {100 * high:.0f} %", f"U{number}"))
    return (
        panel.with_target(instant(f"count({CEILING_USE} >= 2) or {known_at_all}", "200 % and more", "V"))
        .with_target(instant(f"count(client:flowcontrol_window_bytes:sum == 0) or {known_at_all}", "autotuned", "W"))
        .decimals(0)
        .text(text_size(12, 14))
        .color_scheme(fixed(GREY))
    )


def age_spread() -> Panel:
    """Show how old the data is, over all updates."""
    panel = logarithmic_seconds(
        lines(
            "Age when processed, spread over the updates",
            "Fast: all lines at a few milliseconds. Slow: the upper lines climb to minutes.",
            "s",
        )
    )
    for number, (share, name, color) in enumerate(QUANTILES):
        expr = f"histogram_quantile({share}, sum by (le) (client:stock_update_age_seconds_bucket:rate1m))"
        panel.with_target(query(expr, name, f"Q{number}")).override_by_query(f"Q{number}", colored(color))
    return panel
