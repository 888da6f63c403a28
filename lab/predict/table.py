"""A prediction as a table: each figure with its unit, and where it comes from."""

from __future__ import annotations

import math

from rich.console import Console
from rich.table import Table

from lab.predict.prediction import Prediction, Scenario
from stock_server.streams.policy import Policy


def print_table(scenario: Scenario, prediction: Prediction, outage_seconds: float, console: Console) -> None:
    """Print a row for each figure, with its unit and where it comes from."""
    window = f"{scenario.window_bytes:,} bytes" + (" (autotuned)" if scenario.window.size_bytes is None else "")
    table = Table(
        title=f"{scenario.updates_per_second:g} updates/s of {scenario.message_bytes:,} bytes, "
        f"{scenario.processing_seconds:g} s to process one, window {window}, policy {scenario.policy}",
        title_justify="left",
    )
    table.add_column("figure")
    table.add_column("predicted", justify="right")
    table.add_column("because")
    for figure, value, reason in [*rows(scenario, prediction), *_log_rows(scenario, prediction, outage_seconds)]:
        table.add_row(figure, value, reason)
    console.print(table)


def rows(scenario: Scenario, prediction: Prediction) -> list[tuple[str, str, str]]:
    """Return figure, value and reason, a row each."""
    p = prediction
    memory = [
        ("server's memory, a stream", _bytes(p.memory_per_stream_bytes), "measured: make bench-isolation"),
        ("server's memory, all streams", _bytes(p.memory_bytes), f"{scenario.streams:,} x, and what they share"),
    ]  # fmt: skip
    if not p.held_back:
        return [
            ("the client", "keeps up", f"{scenario.processing_seconds:g} s <= 1 / {scenario.updates_per_second:g} s"),
            ("age of its data", _seconds(p.age_seconds), "the processing; nothing waits"),
            *memory,
        ]
    result = [
        (
            "in flight, client that reads nothing",
            _updates(p.ceiling_updates, p.ceiling_bytes),
            "the ceiling: window / update on the wire",
        ),
        (
            "in flight, slow client",
            f"{p.in_flight_least_updates:,} to {p.in_flight_most_updates:,} updates",
            _step_reason(scenario),
        ),
        (
            "  at first, at most",
            f"{p.in_flight_most_at_first_updates:,} updates",
            "it may give back unread what has just come",
        ),
        ("in flight, any client", _updates(p.bound_updates, p.bound_bytes), "the bound: two windows and two updates"),
        (
            "the server is held back after",
            _seconds(p.held_back_after_seconds),
            f"the ceiling / {scenario.excess_per_second:g} updates/s too many",
        ),
        (
            "age of the client's data",
            f"{_seconds(p.age_least_seconds)} to {_seconds(p.age_seconds)}",
            _age_reason(scenario),
        ),
        ("  it settles after", _seconds(p.age_settles_after_seconds), "the client has read what came before"),
        ("  if the client pauses, at most", f"{_seconds(p.age_bound_seconds)} + the pause", "the bound is in flight"),
    ]
    if scenario.policy is Policy.PAUSE:
        result += [
            ("updates never made", f"{p.unmade_per_second:,.3g} / s", "the source waits for the client"),
            (
                "behind a source that does not wait",
                f"{p.lag_growth:,.3g} s more each second",
                "without end: it keeps all, the client is slower",
            ),
        ]
    else:
        result.append(("updates dropped", f"{p.dropped_per_second:,.3g} / s", "made and never sent"))
    if scenario.policy is Policy.REPLAY:
        result += [
            (
                "  it begins to drop after",
                _seconds(p.falls_out_after_seconds),
                "it is as far behind as the log goes",
            ),
            ("behind, until then", f"{p.lag_growth:,.3g} s more each second", "the client is slower than the market"),
        ]
    if scenario.policy is Policy.DISCONNECT:
        when = "never" if p.disconnected_after_seconds is None else _seconds(p.disconnected_after_seconds)
        result.append(("disconnected after", when, "a step must empty half of the buffer in time"))
    result.append(("client's memory, at most", _bytes(p.client_memory_bound_bytes), "what is in flight waits there"))
    return result + memory


def _log_rows(scenario: Scenario, prediction: Prediction, outage_seconds: float) -> list[tuple[str, str, str]]:
    if scenario.policy is Policy.PAUSE:
        return []
    needed = math.ceil(outage_seconds * scenario.updates_per_second)
    return [
        (
            "the log reaches back",
            _seconds(prediction.log_reaches_back_seconds),
            f"{scenario.kept_updates:,} updates: what comes back sooner misses nothing",
        ),
        (
            f"a log for an outage of {outage_seconds:g} s",
            _updates(needed, needed * scenario.message_bytes),
            "and what the client is behind already",
        ),
    ]


def _step_reason(scenario: Scenario) -> str:
    step = f"{math.floor(scenario.reader.step):,}"
    if scenario.reader.step < scenario.ceiling_updates / 2:
        return f"a ping each {scenario.keepalive_time_seconds:g} s brings back the {step} it has read"
    return f"it gives half of the window back at once, {step}"


def _age_reason(scenario: Scenario) -> str:
    waits = {
        Policy.PAUSE: "",
        Policy.REPLAY: f" + {scenario.kept_updates:,} updates that the log keeps, in the end",
        Policy.CONFLATE: " + one interval of a ticker",
        Policy.DROP_OLDEST: f" + {scenario.buffer_updates:,} updates that wait",
        Policy.DISCONNECT: f" + {scenario.buffer_updates:,} updates that wait",
    }
    return f"what is in flight{waits[scenario.policy]} + processing"


def _updates(updates: int, size: int) -> str:
    return f"{updates:,} updates, {size:,} bytes"


def _seconds(seconds: float | None) -> str:
    if seconds is None:
        return "never"
    return f"{seconds:,.0f} s" if seconds >= 100 else f"{seconds:.3g} s"


def _bytes(size: int) -> str:
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("KB", 1e3)):
        if size >= factor:
            return f"{size / factor:,.3g} {unit}"
    return f"{size:,} bytes"
