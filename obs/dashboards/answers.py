"""The answers at the top: who is slow, how far the server is held back, what is lost, and how old the data is."""

from __future__ import annotations

from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.models import common

from dashboards.common import (
    CHOSEN,
    GREEN,
    ORANGE,
    RED,
    Panel,
    answer,
    dial,
    instant,
    properties,
    thresholds,
)

NAMES_SHOWN = 4


def held_back() -> Panel:
    """Name the clients that are held back."""
    state = f"client:flowcontrol_state:code{{{CHOSEN}}}"
    slow = f"{state} >= 2"
    return (
        answer(
            "Held back now",
            "The clients that read more slowly than the server could send, by name: orange, or red if stopped. "
            "Fast: none. Slow: the slow client, about a minute after it began to be slow.",
        )
        .with_target(instant(f"topk({NAMES_SHOWN}, {slow})", "{{client}}"))
        .with_target(instant(f'count_values("more", count({slow}) - {NAMES_SHOWN} > 0)', "and {{more}} more", "B"))
        .with_target(instant(f"0 * count({state}) unless on () {slow}", "none", "C"))
        .orientation(common.VizOrientation.HORIZONTAL)
        .text(common_builders.VizTextDisplayOptions().title_size(18).value_size(18))
        .text_mode(common.BigValueTextMode.NAME)
        .override_by_query("B", properties(color={"mode": "fixed", "fixedColor": ORANGE}))
        .thresholds(thresholds((None, GREEN), (2, ORANGE), (3, RED)))
    )


def ceiling_use() -> Panel:
    """Show how full the window of the fullest client is."""
    return (
        dial(
            "In flight / predicted ceiling",
            "Updates that the server has sent and the client has not read yet, in percent of the ceiling that is "
            "predicted from the client's window: window / size of an update; of the client with the most. "
            "Fast: near 0. Slow: it climbs to about 100 % and stays; 200 % is the bound that no reader passes.",
        )
        .with_target(instant(f"topk(1, client:flowcontrol_ceiling_use:ratio{{{CHOSEN}}})", "{{client}}"))
        .unit("percentunit")
        .decimals(0)
        .min(0)
        .max(2)
        .thresholds(thresholds((None, GREEN), (0.8, ORANGE), (2, RED)))
        .no_value("no client")
    )


def blocked() -> Panel:
    """Show for how much of the time writes are blocked."""
    return (
        answer(
            "Writes blocked",
            "Share of the last minute in which the server waited to write; to the client it waits for most. "
            "Fast: 0 %. Slow: it rises to nearly 100 %: the server is held back.",
        )
        .with_target(instant(f"topk(1, client:flowcontrol_blocked:ratio_rate1m{{{CHOSEN}}})", "{{client}}"))
        .unit("percentunit")
        .decimals(0)
        .thresholds(thresholds((None, GREEN), (0.5, ORANGE)))
        .no_value("no client")
    )


def missed() -> Panel:
    """Show that nothing is lost."""
    return (
        answer(
            "Updates missed",
            "Updates in the shown time whose number a client expected and never got. Fast and slow: 0. "
            "A slow client gets every update, late; what a policy drops on purpose is not missed.",
        )
        .with_target(
            instant(f"round(sum(increase(stock_client_missed_updates_total{{{CHOSEN}}}[$__range])))", "chosen clients")
        )
        .decimals(0)
        .thresholds(thresholds((None, GREEN), (1, RED)))
        .no_value("no client")
    )


def oldest() -> Panel:
    """Show the oldest data that is being worked on."""
    return (
        answer(
            "Oldest data in work",
            "Age of the update that a client is working on now; of the client with the oldest. "
            "Fast: 0 s. Slow: it grows to as long as the client takes for all that is in flight. "
            "A stopped client works on nothing.",
        )
        .with_target(instant(f"topk(1, client:stock_working_age_seconds:max{{{CHOSEN}}})", "{{client}}"))
        .unit("s")
        .decimals(1)
        .thresholds(thresholds((None, GREEN), (5, ORANGE), (60, RED)))
        .no_value("no client")
    )
