"""Measure what the services cost beside bare grpcio, everything as a ratio within one run."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import httpx
from pydantic import Field, field_validator
from pydantic_settings import SettingsConfigDict
from rich.console import Console

from lab.bench.speed.beside_stalled import measure_beside_stalled
from lab.bench.speed.fan_out import measure_fan_out
from lab.bench.speed.flat_out import measure_flat_out
from lab.bench.speed.growth import measure_growth
from lab.bench.speed.latency import measure_latency
from lab.bench.speed.measure import Measure
from lab.bench.speed.memory import measure_memory
from lab.bench.speed.peer import measure_peer
from lab.bench.speed.report import Results, report
from lab.bench.speed.scrape import measure_scrapes
from lab.bench.speed.start import measure_start
from lab.console import Bar, Say, new_console
from lab.machine import allow_open_files, machine
from lab.processes.services import ServiceFailedError
from servicekit.errors import exit_with
from servicekit.settings import CommandSettings, load_settings
from servicekit.values import Folder, check_target

SPARE_FILES = 200
PARTS = ("one-stream", "fan-out", "latency", "memory", "beside-stalled", "scrape", "start", "growth")

Measuring = Callable[[], Awaitable[list[Measure]]]


class BenchSettings(CommandSettings):
    """Measure rates, processor time, latency, memory and start beside bare grpcio programs; under 10 minutes."""

    model_config = SettingsConfigDict(cli_prog_name="lab bench")

    quick: bool = Field(False, description="fewer rounds, streams and rates: three minutes, and figures scatter more")
    peer: str = Field("", description="HOST:PORT of a server of the original's contract, to compare with; empty: none")
    parts: str = Field(",".join(PARTS), description="what to measure, separated by commas")
    rounds: int = Field(0, ge=0, le=100, description="rounds of each ratio, 1 to 100; 0: 7, or 3 with --quick")
    out: Folder = Field(Path("out/bench"), description="folder for results.json, the chart and the services' logs")

    @field_validator("peer")
    @classmethod
    def _is_a_target(cls, peer: str) -> str:
        return check_target(peer) if peer else peer

    @field_validator("parts")
    @classmethod
    def _are_parts(cls, text: str) -> str:
        for name in text.split(","):
            if name not in PARTS:
                raise ValueError(f"no such part: '{name}'; there are {', '.join(PARTS)}")
        return text


def main(arguments: Sequence[str]) -> int:
    """Measure; return 0 whatever the figures are."""
    settings = load_settings(BenchSettings, arguments)
    allow_open_files(1_000 + SPARE_FILES, "lab bench", "--quick asks for fewer")
    console = new_console()
    try:
        results = asyncio.run(run(settings, console))
    except ServiceFailedError as error:
        exit_with("lab bench", str(error))
    report(results, settings.out, console)
    return 0


async def run(settings: BenchSettings, console: Console) -> Results:
    """Measure everything that is asked for. Raises ServiceFailedError."""
    began_at, began_with = time.monotonic(), os.getloadavg()[0]
    rows: list[Measure] = []
    async with httpx.AsyncClient(timeout=60) as http:
        with Bar(console, "bench") as bar:
            done = 0.0

            def say(text: str) -> None:
                bar.show(done, text)

            chosen = _parts(settings, http, say)
            for number, (_, measure) in enumerate(chosen):
                done = number / len(chosen)
                rows += await measure()
    took = round(time.monotonic() - began_at, 1)
    return Results(machine(), (began_with, os.getloadavg()[0]), took, settings.quick, rows)


def _parts(settings: BenchSettings, http: httpx.AsyncClient, say: Say) -> list[tuple[str, Measuring]]:
    quick, folder = settings.quick, settings.out / "logs"
    rounds = settings.rounds or (3 if quick else 7)
    few = max(1, rounds - 2)
    """Of what takes longer; all together stays below 10 minutes."""
    seconds = 0.5 if quick else 1.0
    most = 100 if quick else 1_000

    async def one_stream() -> list[Measure]:
        rows, _ = await measure_flat_out(rounds, seconds, http, folder, say)
        return rows + (await measure_peer(settings.peer, rounds, seconds, folder, say) if settings.peer else [])

    async def beside_stalled() -> list[Measure]:
        return await measure_beside_stalled(most, min(rounds, 3), seconds, http, folder, say)

    measures: dict[str, Measuring] = {
        "one-stream": one_stream,
        "fan-out": lambda: measure_fan_out((1, 10) if quick else (1, 10, 100), few, seconds, http, folder, say),
        "latency": lambda: measure_latency((1_000,) if quick else (10, 1_000, 0), few, 2 * seconds, folder, say),
        "memory": lambda: measure_memory(most, http, folder, say),
        "beside-stalled": beside_stalled,
        "scrape": lambda: measure_scrapes(most, rounds, http, folder, say),
        "start": lambda: measure_start(few, http, folder, say),
        "growth": lambda: measure_growth(_series(quick), min(rounds, 3), seconds, http, folder, say),
    }
    return [(name, measures[name]) for name in PARTS if name in settings.parts.split(",")]


def _series(quick: bool) -> list[tuple[str, list[tuple[str, int, tuple[str, ...]]]]]:
    flat: tuple[str, ...] = ("--update-interval-seconds", "0")
    streams = (1, 10, 100) if quick else (1, 10, 100, 1_000)
    tickers = (1, 10, 100) if quick else (1, 10, 100, 1_000)
    rates: list[tuple[str, int, tuple[str, ...]]] = [
        (f"{rate}/s", 1, ("--update-interval-seconds", str(1 / rate))) for rate in (100, 1_000)
    ]
    return [
        ("streams", [(f"{count:,}", count, flat) for count in streams]),
        ("tickers", [(f"{count:,}", 1, (*flat, "--tickers", _names(count))) for count in tickers]),
        ("rate", [*rates, ("flat out", 1, flat)]),
    ]


def _names(count: int) -> str:
    return ",".join(f"T{number:03d}" for number in range(count))
