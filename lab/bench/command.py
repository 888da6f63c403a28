"""Measure what stalled clients cost a fast one and their server: rate, gaps, memory, processor time."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx
from pydantic import Field
from pydantic_settings import SettingsConfigDict
from rich.console import Console

from flowcontrol import DEFAULT_WINDOW_BYTES, Window
from lab.bench.idle_cost import Case, IdleCost, measure_costs
from lab.bench.isolation import Flood, Isolation, Setup, measure_flood, measure_series
from lab.bench.tables import cost_table, filling_table, isolation_table, throughput_table
from lab.bench.throughput import Throughput, measure_throughput
from lab.console import Bar, new_console
from lab.machine import allow_open_files, machine
from lab.processes.services import ServiceFailedError, run_server
from servicekit.errors import exit_with
from servicekit.settings import CommandSettings, load_settings
from servicekit.values import Folder

PADDING_BYTES = 1_000
"""Larger updates fill a thousand windows in a second."""

FULL_SPEED = ("--update-interval-seconds", "0", "--padding-bytes", str(PADDING_BYTES))
LIVE = ("--update-interval-seconds", "0.01", "--padding-bytes", str(PADDING_BYTES))

WINDOWS = tuple(Window(2**exponent) for exponent in (14, 16, 18, 20))

FILLING_ROUNDS = 3
FILLING_SECONDS = 2.0

SPARE_FILES = 200
"""Open files that a process with a connection for each stream needs besides."""


class BenchSettings(CommandSettings):
    """Measure a fast client beside up to 1,000 stalled ones, and what these cost the server; under 5 minutes."""

    model_config = SettingsConfigDict(cli_prog_name="lab bench-isolation")

    streams: int = Field(1_000, ge=2, le=1_900, description="most stalled streams on channels of their own, 2 to 1900")
    shared_streams: int = Field(100, ge=2, le=1_000, description="most stalled streams on a shared channel, 2 to 1000")
    rounds: int = Field(5, ge=1, le=50, description="rounds of each series, 1 to 50; figures are their medians")
    seconds: float = Field(1.0, gt=0, le=60, description="seconds of each measurement of the fast client, up to 60")
    out: Folder = Field(Path("out/bench-isolation"), description="folder for results.json and the services' logs")


@dataclass(frozen=True)
class Results:
    """All figures."""

    machine: dict[str, str | int]
    took_seconds: float
    isolation: Sequence[Isolation]
    filling: Sequence[Flood]
    throughput: Sequence[Throughput]
    costs: Sequence[IdleCost]


def main(arguments: Sequence[str]) -> int:
    """Measure; return 0 whatever the figures are."""
    settings = load_settings(BenchSettings, arguments)
    allow_open_files(settings.streams + SPARE_FILES, "lab bench-isolation", "--streams asks for fewer")
    console = new_console()
    try:
        results = asyncio.run(run(settings, console))
    except ServiceFailedError as error:
        exit_with("lab bench-isolation", str(error))
    settings.out.mkdir(parents=True, exist_ok=True)
    path = settings.out / "results.json"
    path.write_text(json.dumps(asdict(results), indent=2) + "\n")
    for table in (
        isolation_table(results.isolation),
        filling_table(results.filling),
        throughput_table(results.throughput),
        cost_table(results.costs),
    ):
        console.print(table)
    console.print(f"Took {results.took_seconds:.0f} s.  results {path}", highlight=False)
    return 0


async def run(settings: BenchSettings, console: Console) -> Results:
    """Measure everything. Raises ServiceFailedError."""
    began_at = time.monotonic()
    logs = settings.out / "logs"
    most, shared = settings.streams, settings.shared_streams
    own = tuple(sorted({1, max(1, most // 10), most}))
    window, rounds, seconds = DEFAULT_WINDOW_BYTES, settings.rounds, settings.seconds
    series = (
        Setup("own channels, pause, full speed", "pause", window, FULL_SPEED, own, False, rounds, seconds),
        Setup("own channels, conflate, 100/s", "conflate", window, LIVE, own, False, max(1, rounds - 1), seconds),
        Setup(
            "one shared channel, pause, full speed", "pause", window, FULL_SPEED,
            tuple(sorted({1, max(1, shared // 5), shared})), True, rounds, seconds,
        ),
    )  # fmt: skip
    isolation: list[Isolation] = []
    async with httpx.AsyncClient(timeout=30) as http:
        with Bar(console, "bench-isolation") as bar:
            # a guess at the whole, for the bar alone
            whole = 3 * (rounds * (5 * seconds + 6)) + 60

            def say(text: str) -> None:
                bar.show((time.monotonic() - began_at) / whole, text)

            for setup in series:
                isolation += await measure_series(setup, http, logs, say)
            async with run_server(logs, *FULL_SPEED) as server:
                filling = [
                    await measure_flood(window, max(1, shared // 5), FILLING_ROUNDS, FILLING_SECONDS, server, http, say)
                    for window in (Window(), Window(None))
                ]
                throughput = await measure_throughput(WINDOWS, FILLING_ROUNDS, 1.0, server, say)
            costs = await measure_costs(_cases(most, shared), PADDING_BYTES, http, logs, say)
    return Results(machine(), round(time.monotonic() - began_at, 1), isolation, filling, throughput, costs)


def _cases(streams: int, shared_streams: int) -> list[Case]:
    policies = ("pause", "conflate", "drop-oldest", "disconnect")
    return [
        *(Case(policy, DEFAULT_WINDOW_BYTES, streams) for policy in policies),
        *(Case("pause", window_bytes, streams) for window_bytes in (16_384, 262_144)),
        Case("pause", DEFAULT_WINDOW_BYTES, shared_streams, shared=True),
    ]
