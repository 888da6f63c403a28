"""The answers at the top: who is slow, how far the server is held back, what is lost, and how old the data is."""

from __future__ import annotations

from grafana_foundation_sdk.models import common

from dashboards.panels import Panel, answer, dial, named, properties, text_size
from dashboards.queries import CHOSEN, counted, in_states, instant, of_chosen
from dashboards.roles import (
    GREEN,
    GREY,
    HELD_BACK,
    KEEPING_UP,
    NOT_KNOWN,
    ORANGE,
    RED,
    STOPPED,
    WORKING_OFF,
    State,
    known,
    names,
    steps,
)

NAMES_SHOWN = 4
MISSED = "stock_client_missed_updates_total"
DROPPED = "flowcontrol_server_dropped_messages_total"

NONE = State(10, "none", GREEN)
LOSS_NOT_KNOWN = State(-1, NOT_KNOWN.name, GREY)

SLOW = in_states(HELD_BACK, STOPPED, WORKING_OFF)
UNCLEAR = in_states(NOT_KNOWN)


def held_back() -> Panel:
    """Name the clients that are held back, and those that still work off what was in flight."""
    more = f'count_values("more", count({SLOW}) - {NAMES_SHOWN} > 0)'
    not_known = f'count_values("clients", count({UNCLEAR}))'
    others = f'count_values("clients", count({in_states(KEEPING_UP)}))'
    none = f"{NONE.code} + 0 * {others} unless on () ({SLOW} or {UNCLEAR})"
    return (
        answer(
            "Held back now",
            "The clients that read more slowly than the server could send, by name. "
            "Fast: none. Slow: the slow client, about a minute after it began to be slow.",
        )
        .with_target(instant(f"topk({NAMES_SHOWN}, {SLOW})", named("{{client}}")))
        .with_target(instant(f"{HELD_BACK.code} + 0 * {more}", named("and {{more}} more"), "B"))
        .with_target(instant(f"{NOT_KNOWN.code} + 0 * {not_known}", named("clients {{clients}}"), "C"))
        .with_target(instant(none, named("of {{clients}} clients"), "D"))
        .orientation(common.VizOrientation.HORIZONTAL)
        .mappings([names(HELD_BACK, STOPPED, WORKING_OFF, NOT_KNOWN, NONE)])
        .text(text_size(16, 16))
    )


def ceiling_use() -> Panel:
    """Show how full the window of the fullest client is."""
    return (
        dial(
            "In flight / ceiling",
            "Sent and not yet read, in percent of the predicted ceiling; of the client with the most. "
            "Fast: near 0. Slow: about 100 %; 200 % is the bound that no reader passes.",
        )
        .with_target(instant(f"topk(1, {of_chosen('client:flowcontrol_ceiling_use:ratio')})", "{{client}}"))
        .unit("percentunit")
        .decimals(0)
        .min(0)
        .max(2)
        .thresholds(known((0, GREEN), (0.8, ORANGE), (2, RED)))
    )


def blocked() -> Panel:
    """Show for how much of the time writes are blocked."""
    return (
        answer(
            "Writes blocked",
            "Share of the last minute in which the server waited to write; to the client it waits for most. "
            "Fast: 0 %. Slow: nearly 100 %: the server is held back.",
        )
        .with_target(instant(f"topk(1, {of_chosen('client:flowcontrol_blocked:ratio_rate1m')})", named("{{client}}")))
        .unit("percentunit")
        .decimals(0)
        .thresholds(known((0, GREEN), (0.5, ORANGE)))
    )


def lost() -> Panel:
    """Show what is lost, and beside it what was left out on purpose."""
    without_numbers = f"{in_states(KEEPING_UP, HELD_BACK, STOPPED)} unless on (client) {of_chosen(MISSED)}"
    uncounted = f'count_values("clients", count({without_numbers}))'
    return (
        answer(
            "Updates missed, and dropped",
            "In the shown time. Missed: a number expected that never came; not known where the server numbers "
            "nothing. Dropped: left out by the policy. Fast and slow: 0 missed; 0 dropped with the policy pause.",
        )
        .with_target(instant(missed(CHOSEN), named("missed")))
        .with_target(
            instant(
                f"{LOSS_NOT_KNOWN.code} + 0 * {uncounted} and on () {of_chosen(MISSED)}",
                named("missed, of {{clients}} clients"),
                "B",
            )
        )
        .with_target(instant(dropped(CHOSEN), named("dropped"), "C"))
        .orientation(common.VizOrientation.VERTICAL)
        .decimals(0)
        .mappings([names(LOSS_NOT_KNOWN)])
        .text(text_size(14, 24))
        .thresholds(known((0, GREEN), (1, RED)))
        .override_by_query("C", properties(thresholds=steps((0, GREEN), (1, ORANGE))))
    )


def missed(selector: str = "") -> str:
    """Return the query for how many updates clients have missed in the shown time."""
    return f"round(sum({counted(MISSED, selector)})) or vector({LOSS_NOT_KNOWN.code})"


def dropped(selector: str = "") -> str:
    """Return the query for how many updates servers have dropped in the shown time; known only if all answer."""
    total = f"round(sum({counted(DROPPED, selector)}))"
    return f"{total} and on () job:stock_servers_answering:count or vector({LOSS_NOT_KNOWN.code})"


def oldest() -> Panel:
    """Show the oldest data that is being worked on."""
    return (
        answer(
            "Oldest data in work",
            "Age of the update that a client works on now; of the client with the oldest. "
            "Fast: 0 s. Slow: it grows to as long as the client takes for all that is in flight.",
        )
        .with_target(instant(f"topk(1, {of_chosen('client:stock_working_age_seconds:max')})", named("{{client}}")))
        .unit("s")
        .decimals(1)
        .thresholds(known((0, GREEN), (5, ORANGE)))
    )
