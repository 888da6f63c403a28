"""The row about policies: who gets what when too slow, who was held back when, and whether the books balance."""

from __future__ import annotations

from dashboards.common import CHOSEN, Panel, Row, lines, query


def policies() -> Row:
    """Return the row: policy, held-back events, updates unaccounted for."""
    return (6, ((policy(), 8), (events(), 8), (unaccounted(), 8)))


def policy() -> Panel:
    """Show which policy each stream has."""
    return lines(
        "Streams open, by client and policy",
        "What a client gets that is too slow: pause, conflate, drop-oldest or disconnect. Fast and slow: one stream a "
        "client, with the policy that it asked for or that the server gives; pause by default.",
        "none",
    ).with_target(
        query(
            f"sum by (client, policy) (flowcontrol_server_policy_streams{{{CHOSEN}}})",
            "{{client}} {{policy}}",
        )
    )


def events() -> Panel:
    """Show when clients became held back, stopped, or recovered."""
    return lines(
        "Held-back events in the last minute",
        "How often a client became held back, stopped, or recovered: as the server logs it: consumer.held_back, "
        "consumer.stopped and consumer.recovered. Fast: 0. Slow: held_back once, about 10 s after its window is full.",
        "none",
    ).with_target(
        query(
            f"sum by (client, to) (round(increase(flowcontrol_server_consumer_transitions_total{{{CHOSEN}}}[1m])))",
            "{{client}} {{to}}",
        )
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
        .with_target(query(f"client:stock_books_produced:unaccounted{{{CHOSEN}}}", "{{client}} server"))
        .with_target(query(f"client:stock_books_received:unaccounted{{{CHOSEN}}}", "{{client}} client", "B"))
    )
