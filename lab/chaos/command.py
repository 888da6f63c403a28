"""Play faults, one after the other, with real processes, and hold each against the figure that it must meet."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

import httpx
from pydantic import Field, field_validator
from pydantic_settings import CliPositionalArg, SettingsConfigDict
from rich.console import Console

from lab.chaos.outcome import Outcome, Status, report
from lab.chaos.rows import ROWS, Row
from lab.chaos.scene import NotTestedError, Scene, TookTooLongError
from lab.console import Bar, new_console
from lab.machine import allow_open_files
from lab.processes.services import ServiceFailedError
from servicekit.settings import CommandSettings, load_settings
from servicekit.values import Folder

OPEN_FILES = 4_000
"""What a thousand clients take."""

NAMES = ", ".join(row.name for row in ROWS)


class ChaosSettings(CommandSettings):
    """Play faults with real processes on loopback and in network namespaces of their own; judge each by its figure."""

    model_config = SettingsConfigDict(cli_prog_name="lab chaos")

    rows: CliPositionalArg[list[str]] = Field([], description=f"faults to play, all by default: {NAMES}")
    quick: bool = Field(False, description="play less of each fault: minutes, and smaller figures")
    out: Folder = Field(Path("out/chaos"), description="folder for results.json and the services' logs")

    @field_validator("rows")
    @classmethod
    def _are_rows(cls, names: list[str]) -> list[str]:
        for name in names:
            if name not in {row.name for row in ROWS}:
                raise ValueError(f"no such fault: '{name}'")
        return names

    @property
    def chosen(self) -> list[Row]:
        """The faults that are asked for, in the table's order."""
        return [row for row in ROWS if not self.rows or row.name in self.rows]


def main(arguments: Sequence[str]) -> int:
    """Play the faults; return 0 where all hold, 1 where one does not, 2 where one could not be tested."""
    settings = load_settings(ChaosSettings, arguments)
    allow_open_files(OPEN_FILES, "lab chaos", "a thousand clients at once are what takes them")
    console = new_console()
    outcomes = asyncio.run(run(settings, console))
    return report(outcomes, settings.quick, settings.out / "results.json", console)


async def run(settings: ChaosSettings, console: Console) -> list[Outcome]:
    """Play one row after the other."""
    outcomes = []
    rows = settings.chosen
    async with httpx.AsyncClient(timeout=10, trust_env=False) as http:
        with Bar(console, "chaos") as bar:
            for number, row in enumerate(rows):

                def say(text: str, name: str = row.name, done: float = number / len(rows)) -> None:
                    bar.show(done, f"{name}: {text}")

                outcome = await play(row, Scene(settings.out / row.name, settings.quick, http, say))
                reason = f", {outcome.reason}" if outcome.reason else ""
                bar.say(f"{row.name}: {outcome.status} after {outcome.took_seconds:.0f} s{reason}")
                outcomes.append(outcome)
    return outcomes


async def play(row: Row, scene: Scene) -> Outcome:
    """Return what a row has come to, whatever it has met."""
    began_at = time.monotonic()
    scene.say(row.fault)
    status, reason, claims = Status.FAILS, "", []
    try:
        async with asyncio.timeout(row.within_seconds):
            claims = await row.play(scene)
        status = Status.HOLDS if claims and all(claim.passed for claim in claims) else Status.FAILS
    except NotTestedError as error:
        status, reason = Status.NOT_TESTED, str(error)
    except TimeoutError:
        reason = f"it took more than {row.within_seconds:g} s"
    except (ServiceFailedError, TookTooLongError, httpx.HTTPError, OSError) as error:
        reason = f"{type(error).__name__}: {error}"
    return Outcome(row.name, row.fault, status, reason, round(time.monotonic() - began_at, 1), claims)
