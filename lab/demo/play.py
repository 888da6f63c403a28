"""What every demo shares: its settings, how it begins and ends, and how large the updates are."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from pydantic import field_validator
from rich.console import Console

from flowcontrol import Window
from lab.console import new_console
from lab.processes.samples import Sample
from lab.processes.services import ServiceFailedError
from lab.verdict import ActVerdict, Claim, Verdict, report
from servicekit.errors import exit_with
from servicekit.settings import CommandSettings, load_settings
from servicekit.values import Folder
from stockfeed.source import StockSource

CHART = "chart.png"


class PlaySettings(CommandSettings):
    """Settings that every demo has; each has its own defaults."""

    window_bytes: int
    out: Folder

    @field_validator("window_bytes", check_fields=False)
    @classmethod
    def _is_a_window(cls, size: int) -> int:
        Window(size)
        return size


Settings = TypeVar("Settings", bound=PlaySettings)


def run(
    settings_type: type[Settings], play: Callable[[Settings, Console], Awaitable[Verdict]], arguments: Sequence[str]
) -> int:
    """Play a demo, which leaves its chart; print and save the verdict; return the exit status."""
    settings = load_settings(settings_type, arguments)
    console = new_console()
    began_at = time.monotonic()

    async def played() -> Verdict:
        return await play(settings, console)

    try:
        verdict = asyncio.run(played())
    except ServiceFailedError as error:
        exit_with(str(settings_type.model_config.get("cli_prog_name")), str(error))
    seconds = time.monotonic() - began_at
    console.print(f"Played in {seconds:.0f} s.  chart {settings.out / CHART}", highlight=False)
    return report(verdict, settings.out / "verdict.json", console)


def judge(name: str, samples: Sequence[Sample], claims: Sequence[Claim], ceiling_bytes: int | None) -> ActVerdict:
    """Return the verdict of claims on an act's samples, with the figures that every act has."""
    last = samples[-1]
    return ActVerdict(
        name=name,
        passed=all(claim.passed for claim in claims),
        sent=last.sent,
        received=last.received,
        missed=last.missed,
        in_flight_max=max(sample.in_flight for sample in samples),
        in_flight_bytes_max=max(sample.in_flight_bytes for sample in samples),
        ceiling_bytes=ceiling_bytes,
        claims=claims,
    )


def largest_update_bytes(padding_bytes: int) -> int:
    """Return the serialised size of the largest of many updates: it varies by a few bytes with volume and number."""
    source = StockSource(padding_bytes=padding_bytes, seed=1)
    return max(source.next().ByteSize() for _ in range(2_000))
