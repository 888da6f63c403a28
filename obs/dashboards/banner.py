"""The first row of every dashboard: what is down, missing or not known, and how many alerts fire."""

from __future__ import annotations

from grafana_foundation_sdk.models import common

from dashboards.board import Row
from dashboards.panels import Panel, answer, link, named, text_size
from dashboards.queries import OURS, SERVERS_UP, STATE, in_states, instant
from dashboards.roles import (
    GREEN,
    GREY,
    HELD_BACK,
    KEEPING_UP,
    NO_STREAM,
    NOT_KNOWN,
    RED,
    STOPPED,
    WORKING_OFF,
    State,
    known,
    names,
)

ALL_THERE = State(10, "all there", GREEN)
DOWN = State(11, "down", RED)
NOT_FOUND = State(12, "not found", RED)
MISSING = State(13, "missing", RED)
NO_CLIENT = State(14, "no client has a stream", GREY)

NAMES_SHOWN = 4
"""Of each kind; how many more there are is said."""

TARGETS_DOWN = f'up{{{OURS}, job=~"server|client"}} == 0'
NO_TARGET = f"absent({SERVERS_UP})"
CLIENTS_MISSING = "name:stock_expected_clients:missing == 1"
WITHOUT_STREAM = in_states(NO_STREAM, series=STATE)
STATE_NOT_KNOWN = in_states(NOT_KNOWN, series=STATE)
WRONG = " or ".join((TARGETS_DOWN, NO_TARGET, CLIENTS_MISSING, WITHOUT_STREAM, STATE_NOT_KNOWN))
THERE = in_states(KEEPING_UP, HELD_BACK, STOPPED, WORKING_OFF, series=STATE)


def banner(firing_where: str, alert_list: str) -> Row:
    """Return the row; `firing_where` selects the alerts to count, `alert_list` is the address of their list."""
    return (3, ((all_there(), 20), (alerts_firing(firing_where, alert_list), 4)))


def all_there() -> Panel:
    """Name what is not there; green only where it is known that nothing is missing."""
    panel = answer(
        "Is all there?",
        "Servers, expected clients and their streams. Fast and slow: all there. "
        "What is down, missing or not known stands here by name.",
    )
    for ref, (expr, legend, code) in enumerate(
        (
            (TARGETS_DOWN, named("{{job}} {{instance}}"), DOWN.code),
            (CLIENTS_MISSING, named("{{name}}"), MISSING.code),
            (WITHOUT_STREAM, named("{{client}}"), NO_STREAM.code),
            (STATE_NOT_KNOWN, named("{{client}}"), NOT_KNOWN.code),
        )
    ):
        panel.with_target(instant(f"topk({NAMES_SHOWN}, {code} + 0 * ({expr}))", legend, f"N{ref}"))
        more = f'count_values("more", count({expr}) - {NAMES_SHOWN} > 0)'
        panel.with_target(instant(f"{code} + 0 * {more}", named("{{more}} more"), f"M{ref}"))
    return (
        panel.with_target(instant(f"{NOT_FOUND.code} * {NO_TARGET}", named("server"), "T"))
        .with_target(
            instant(
                f'({ALL_THERE.code} + 0 * count_values("clients", count({THERE})))'
                f' * on () group_left (servers) count_values("servers", count({SERVERS_UP}))'
                f" unless on () ({WRONG})",
                named("clients {{clients}}, servers {{servers}}"),
                "G",
            )
        )
        .with_target(
            instant(
                f"{NO_CLIENT.code} + 0 * count({SERVERS_UP}) unless on () {THERE} unless on () ({WRONG})",
                named("server"),
                "Z",
            )
        )
        .orientation(common.VizOrientation.VERTICAL)
        .mappings([names(ALL_THERE, DOWN, NOT_FOUND, MISSING, NO_CLIENT, NO_STREAM, NOT_KNOWN)])
        .text(text_size(16, 16))
        .no_value("no data: Prometheus does not answer")
    )


def alerts_firing(where: str, alert_list: str) -> Panel:
    """Count the alerts that fire. Where Prometheus answers and has none, that is a known zero."""
    return (
        answer("Alerts firing", "Fast: 0. Slow: one for each slow client, after 2 minutes. A click shows the list.")
        .with_target(instant(f"count(ALERTS{{{OURS}, {where}}}) or vector(0)", "alerts"))
        .text_mode(common.BigValueTextMode.VALUE)
        .text(text_size(24, 24))
        .thresholds(known((0, GREEN), (1, RED)))
        .override_by_query("A", link("Show the alerts", alert_list))
    )
