"""The panel that the original had: what was sent and what was processed, of the client that is held back most."""

from __future__ import annotations

from grafana_foundation_sdk.models import common

from dashboards.panels import Panel, colored, lines
from dashboards.queries import STATE, of_chosen, query
from dashboards.roles import CEILING, PROCESSED, SENT, STOPPED

TITLE = "Stock updates sent x Stock updates processed"

_BLOCKED = of_chosen("client:flowcontrol_blocked:ratio_rate1m")
_STOPPED = f"({of_chosen(STATE)} @ end() == bool {STOPPED.code})"
MOST_HELD_BACK = (
    f"topk(1, round(1 + {_BLOCKED} @ end(), 0.1) + on (client) {_STOPPED}"
    f" or on (client) last_over_time({_BLOCKED}[$__range] @ end()))"
)
"""One client: of those with a stream one that has stopped, or for which the server waits most; else the last such.

Rounded, so that two alike do not take turns.
"""


def sent_and_processed() -> Panel:
    """Show the original's two counts as bars, of one client, from the left edge on."""
    sent = f"{of_chosen('client:stock_updates_sent:sum')} and on (client) {MOST_HELD_BACK}"
    processed = f"{of_chosen('client:stock_updates_processed:sum')} and on (client) {MOST_HELD_BACK}"
    ceiling = of_chosen("client:flowcontrol_ceiling_messages:sum")
    before = f"min_over_time({of_chosen('client:stock_updates_processed:sum')}[$__range] @ end())"
    since = f"clamp_min(({processed}) - on (client) {before}, 0)"
    return (
        lines(
            TITLE,
            "Of the client that is held back most, or the one chosen above; what it had processed before is left out. "
            "Fast: both are one. Slow: sent stops at the ceiling, and goes on only as processed does.",
            "none",
        )
        .with_target(query(f"({sent}) - on (client) ({before} or 0 * ({sent}))", "{{client}}: Stock updates sent"))
        .with_target(query(since, "{{client}}: Stock updates processed", "B"))
        .with_target(query(f"{since} + on (client) {ceiling}", "the server must stop here", "C"))
        .draw_style(common.GraphDrawStyle.BARS)
        .line_width(0)
        .max_data_points(60)
        .override_by_query("A", colored(SENT, custom__fillOpacity=45))
        .override_by_query("B", colored(PROCESSED, custom__fillOpacity=100))
        .override_by_query("C", colored(CEILING, custom__drawStyle="line", custom__lineWidth=2, custom__fillOpacity=0))
    )
