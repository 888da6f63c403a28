"""Lines by client, each in the colour of the state that its client is in at the end of the time range."""

from __future__ import annotations

from dashboards.panels import Panel, colored, lines, logarithmic_seconds
from dashboards.queries import in_states, of_chosen, query
from dashboards.roles import (
    BOUND,
    CEILING,
    GONE,
    GREY,
    HELD_BACK,
    KEEPING_UP,
    NO_STREAM,
    NOT_KNOWN,
    PROCESSED,
    SENT,
    STATES,
    STOPPED,
    WORKING_OFF,
)

NAMED = 3
"""How many clients of a colour the legend names, so that it is never cut; the tooltip names all."""

AT_END = "@ end()"

APART = (
    (KEEPING_UP,),
    (GONE, NO_STREAM, NOT_KNOWN),
    (WORKING_OFF,),
    (HELD_BACK,),
    (STOPPED,),
)
"""States by the colour of their lines; the last are drawn on top."""


def lines_by_client(panel: Panel, series: str) -> Panel:
    """Return the panel with a line of `series` for each chosen client."""
    expr = of_chosen(series)
    for number, states in enumerate(APART):
        color = states[0].color if len(states) == 1 else GREY
        clients = in_states(*states, at=AT_END)
        named = f"topk({NAMED}, {clients})"
        _add(panel, f"{expr} and on (client) {named}", f"N{number}", color, in_legend=True)
        _add(panel, f"{expr} and on (client) ({clients} unless {named})", f"R{number}", color, in_legend=False)
    _add(panel, f"{expr} unless on (client) {in_states(*STATES, at=AT_END)}", "U", GREY, in_legend=False)
    return panel


def _add(panel: Panel, expr: str, ref: str, color: str, *, in_legend: bool) -> None:
    hidden = {} if in_legend else {"custom__hideFrom": {"legend": True, "tooltip": False, "viz": False}}
    panel.with_target(query(expr, "{{client}}", ref)).override_by_query(ref, colored(color, **hidden))


def in_flight() -> Panel:
    """Show what is in flight, and how much may be."""
    ceilings = of_chosen("client:flowcontrol_ceiling_messages:sum")
    bounds = of_chosen("client:flowcontrol_bound_messages:sum")
    panel = lines_by_client(
        lines(
            "Updates in flight, by client",
            "Sent and not yet read. Fast: near 0. Slow: climbs to the predicted ceiling of its window and stays about "
            "there, below the bound. An autotuned client has neither, and climbs to 4 MiB.",
            "none",
        ),
        "client:flowcontrol_in_flight_messages:sum",
    )
    dashed = {"custom__lineStyle": {"fill": "dash", "dash": [8, 6]}, "custom__lineWidth": 2}
    smallest = f"min({ceilings}) < 0.9 * max({ceilings})"
    return (
        panel.with_target(query(f"max({bounds})", "bound", "X"))
        .with_target(query(smallest, "ceiling of the smallest window", "Y"))
        .with_target(query(f"max({ceilings})", "predicted ceiling", "Z"))
        .override_by_query("X", colored(BOUND, **dashed))
        .override_by_query("Y", colored(CEILING, **dashed))
        .override_by_query("Z", colored(CEILING, **dashed))
    )


def sent_rate() -> Panel:
    """Show what is sent to each client."""
    return lines_by_client(
        lines(
            "Sent per second, by client",
            "Fast: the pace of the server, 10 a second by default. Slow: the same until the window is full, "
            "then only as many as the client processes.",
            "none",
        ),
        "client:stock_updates_sent:rate1m",
    )


def processed_rate() -> Panel:
    """Show what each client processes."""
    return lines_by_client(
        lines(
            "Processed per second, by client",
            "Fast: as many as are sent. Slow: what the client's processing time allows. Stopped: 0.",
            "none",
        ),
        "client:stock_updates_processed:rate1m",
    )


def blocked() -> Panel:
    """Show for whom the server waits."""
    return lines_by_client(
        lines(
            "Time writes are blocked, by client",
            "Share of the last minute in which the server waited to write. Fast: 0 %. "
            "Slow: nearly 100 % once its window is full.",
            "percentunit",
        ).max(1),
        "client:flowcontrol_blocked:ratio_rate1m",
    )


def age() -> Panel:
    """Show how old the data is when it has been processed, client by client."""
    return lines_by_client(
        logarithmic_seconds(
            lines(
                "Mean age when processed, by client",
                "Fast: a few milliseconds. Slow: it grows second by second until all that was in flight has been "
                "worked off once, then stays. Stopped: no line.",
                "s",
            )
        ),
        "client:stock_update_age_seconds:mean1m",
    )


def dropped() -> Panel:
    """Show what policies drop."""
    return lines_by_client(
        lines(
            "Dropped by policy per second, by client",
            "Left out as the policy says. Fast: 0. Slow: 0 with the policy pause; with conflate and drop-oldest what "
            "the client is too slow for.",
            "none",
        ).axis_soft_max(1),
        "client:stock_updates_dropped:rate1m",
    )


def unaccounted() -> Panel:
    """Show whether the books balance."""
    return (
        lines(
            "Books: updates unaccounted for",
            "Server: made - sent - dropped - waiting. Client: received and never sent. Fast and slow: 0 all along; "
            "anything else that lasts is a fault.",
            "none",
        )
        .with_target(query(f"sum(abs({of_chosen('client:stock_books_produced:unaccounted')}))", "server"))
        .with_target(query(f"sum({of_chosen('client:stock_books_received:unaccounted')})", "client", "B"))
        .override_by_query("A", colored(SENT))
        .override_by_query("B", colored(PROCESSED))
        .axis_soft_max(1)
    )
