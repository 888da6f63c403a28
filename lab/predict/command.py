"""Predict what a slow consumer comes to, before anything runs: in flight, age, loss and memory."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Literal

from pydantic import Field, field_validator
from pydantic_settings import SettingsConfigDict
from rich.console import Console
from rich.table import Table

from flowcontrol import DEFAULT_WINDOW_BYTES, Window
from flowcontrol.buffers import DEFAULT_BUFFER_MESSAGES
from lab.console import new_console
from lab.predict.prediction import Prediction, Scenario, predict
from lab.slow_reader import KEEPALIVE_TIME_SECONDS
from servicekit.settings import CommandSettings, load_settings
from servicekit.values import Seconds
from stock_server.policy import Policy

STOCK_UPDATE_BYTES = 99
"""A stock update without padding, give or take 2."""

LARGEST_NUMBER = 2**31 - 1
"""What is beyond it is no size of anything that runs."""


class PredictSettings(CommandSettings):
    """Predict where a slow client stops its server, when, and how old its data is by then. Nothing is run."""

    model_config = SettingsConfigDict(cli_prog_name="lab predict")

    message_bytes: int = Field(
        STOCK_UPDATE_BYTES, ge=0, le=LARGEST_NUMBER, description="serialised size of an update, 0 or more bytes"
    )
    updates_per_second: float = Field(
        10.0,
        ge=1e-6,
        le=1e9,
        allow_inf_nan=False,
        description="updates made for a stream, of all tickers together, 0.000001 to 1000000000",
    )
    processing_seconds: Seconds = Field(2.0, description="seconds that the client takes for an update, 0 or more")
    window_bytes: str = Field(
        str(DEFAULT_WINDOW_BYTES),
        coerce_numbers_to_str=True,
        description="receive window of the client, 16384 to 2147483647 bytes, or auto",
    )
    policy: Literal["pause", "conflate", "drop-oldest", "disconnect"] = Field(
        "pause", description="the server's for slow clients: pause, conflate, drop-oldest or disconnect"
    )
    buffer_updates: int = Field(
        DEFAULT_BUFFER_MESSAGES,
        ge=1,
        le=LARGEST_NUMBER,
        description="updates that wait under drop-oldest and disconnect, 1 or more",
    )
    disconnect_after_seconds: Seconds = Field(
        5.0, description="seconds with its buffer full that disconnect waits, 0 or more"
    )
    tickers: int = Field(1, ge=1, le=LARGEST_NUMBER, description="stocks in the feed, 1 or more")
    streams: int = Field(
        1, ge=1, le=LARGEST_NUMBER, description="such clients, each on a connection of its own, 1 or more"
    )
    keepalive_time_seconds: float = Field(
        KEEPALIVE_TIME_SECONDS,
        ge=1,
        description="seconds between pings, of the end that pings more often, 1 or more; inf: none are sent",
    )
    json_: bool = Field(False, alias="json", description="print JSON, in place of a table")

    @field_validator("window_bytes")
    @classmethod
    def _is_a_window(cls, text: str) -> str:
        Window.parse(text)
        return text

    @property
    def scenario(self) -> Scenario:
        """What is to be predicted."""
        return Scenario(
            message_bytes=self.message_bytes,
            updates_per_second=self.updates_per_second,
            processing_seconds=self.processing_seconds,
            window=Window.parse(self.window_bytes),
            policy=Policy(self.policy),
            buffer_updates=self.buffer_updates,
            tickers=self.tickers,
            streams=self.streams,
            disconnect_after_seconds=self.disconnect_after_seconds,
            keepalive_time_seconds=self.keepalive_time_seconds,
        )


def main(arguments: Sequence[str]) -> int:
    """Print the prediction; return 0."""
    settings = load_settings(PredictSettings, arguments)
    scenario = settings.scenario
    prediction = predict(scenario)
    if settings.json_:
        print(json.dumps(asdict(prediction), indent=2))
    else:
        print_table(scenario, prediction, new_console())
    return 0


def print_table(scenario: Scenario, prediction: Prediction, console: Console) -> None:
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
    for figure, value, reason in rows(scenario, prediction):
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
    if scenario.policy is Policy.DISCONNECT:
        when = "never" if p.disconnected_after_seconds is None else _seconds(p.disconnected_after_seconds)
        result.append(("disconnected after", when, "a step must empty half of the buffer in time"))
    result.append(("client's memory, at most", _bytes(p.client_memory_bound_bytes), "what is in flight waits there"))
    return result + memory


def _step_reason(scenario: Scenario) -> str:
    step = f"{math.floor(scenario.reader.step):,}"
    if scenario.reader.step < scenario.ceiling_updates / 2:
        return f"a ping each {scenario.keepalive_time_seconds:g} s brings back the {step} it has read"
    return f"it gives half of the window back at once, {step}"


def _age_reason(scenario: Scenario) -> str:
    waits = {
        Policy.PAUSE: "",
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
