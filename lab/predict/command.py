"""Predict what a slow consumer comes to, before anything runs: in flight, age, loss and memory."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Literal

from pydantic import Field, field_validator
from pydantic_settings import SettingsConfigDict

from flowcontrol import DEFAULT_BUFFER_MESSAGES, DEFAULT_WINDOW_BYTES, LogBounds, Window
from lab.console import new_console
from lab.predict.prediction import Scenario, predict
from lab.predict.table import print_table
from lab.slow_reader import KEEPALIVE_TIME_SECONDS
from servicekit.settings import CommandSettings, load_settings
from servicekit.values import Seconds
from stock_server.streams.policy import Policy

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
    policy: Literal["pause", "replay", "conflate", "drop-oldest", "disconnect"] = Field(
        "pause", description="the server's for slow clients: pause, replay, conflate, drop-oldest or disconnect"
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
    keep_updates: int = Field(
        LogBounds.messages, ge=1, le=LARGEST_NUMBER, description="updates that the server's log keeps, 1 or more"
    )
    keep_bytes: int = Field(LogBounds.bytes, ge=1, le=2**40, description="bytes of updates that it keeps, 1 or more")
    outage_seconds: Seconds = Field(
        60.0, description="seconds that a client may be away, or its connection down, and miss nothing, 0 or more"
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
            keep_updates=self.keep_updates,
            keep_bytes=self.keep_bytes,
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
        print_table(scenario, prediction, settings.outage_seconds, new_console())
    return 0
