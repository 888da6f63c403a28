"""Prove backpressure in a minute: the real server, real clients, on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import httpx
from pydantic import Field
from pydantic_settings import SettingsConfigDict
from rich.console import Console

from flowcontrol import DEFAULT_WINDOW_BYTES, Window, wire_bytes
from lab.demo.acts import UPDATES_PER_SECOND, Act, Cast, program
from lab.demo.chart import Panel, draw
from lab.demo.live import Progress
from lab.demo.play import CHART, PlaySettings, judge, largest_update_bytes, run
from lab.processes.samples import Sample, Sampler
from lab.processes.services import run_client, run_server
from lab.verdict import ActVerdict, Verdict
from servicekit.values import Folder

LARGEST_DEMO_WINDOW_BYTES = 64 * 2**20
"""Loopback carries the updates of a larger one too slowly for a demo of a minute."""

UPDATES_IN_A_WINDOW = DEFAULT_WINDOW_BYTES // 100
"""Larger windows get larger updates, so that they fill as fast as the default one."""

SECONDS_BETWEEN_SAMPLES = 0.1


class DemoSettings(PlaySettings):
    """Play five acts in a minute: fast, stopped, slow, recovery, unbounded; judge them, and draw them."""

    model_config = SettingsConfigDict(env_prefix="LAB_DEMO_", cli_prog_name="lab demo", cli_show_env_vars=True)

    window_bytes: int = Field(
        DEFAULT_WINDOW_BYTES,
        le=LARGEST_DEMO_WINDOW_BYTES,
        description=f"receive window of the clients, 16384 to {LARGEST_DEMO_WINDOW_BYTES} bytes",
    )
    out: Folder = Field(Path("out/demo"), description="folder for chart.png, verdict.json and the services' logs")


def main(arguments: Sequence[str]) -> int:
    """Play the demo; return 0 where all claims hold, 1 where one does not."""
    return run(DemoSettings, play, arguments)


async def play(settings: DemoSettings, console: Console) -> Verdict:
    """Play all acts, and draw them. Raises ServiceFailedError."""
    window = Window(settings.window_bytes)
    padding_bytes = max(0, settings.window_bytes // UPDATES_IN_A_WINDOW - wire_bytes(largest_update_bytes(0)))
    message_bytes = largest_update_bytes(padding_bytes)
    ceiling = window.ceiling_messages(message_bytes) or 0
    ceiling_bytes = window.ceiling_bytes(message_bytes)
    logs = settings.out / "logs"
    verdicts: list[ActVerdict] = []
    panels: list[Panel] = []
    pace = ("--update-interval-seconds", str(1 / UPDATES_PER_SECOND), "--padding-bytes", str(padding_bytes))
    async with httpx.AsyncClient() as http, run_server(logs, *pace) as server:
        with Progress(console) as progress:
            progress.say(
                f"Window {settings.window_bytes:,} bytes, updates of up to {wire_bytes(message_bytes):,} on the wire: "
                f"the server is predicted to stop {ceiling:,} updates ahead of a client that reads nothing."
            )
            for cast in program(window, message_bytes):
                shown_ceiling = None if cast.window.size_bytes is None else ceiling
                client = ("--processing", cast.processing, "--window-bytes", str(cast.window), "--no-log-updates")
                async with run_client(logs, cast.name, server, *client) as process:
                    for act, samples in await _play_cast(cast, Sampler(http, server, process), progress, shown_ceiling):
                        judged = judge(act.name, samples, act.claims(samples), ceiling_bytes)
                        verdicts.append(judged)
                        panels.append(Panel(act.name, act.title, samples, shown_ceiling, judged.passed))
    draw(
        panels,
        "A slow consumer holds a gRPC server back: how far it gets is known beforehand",
        f"window {settings.window_bytes:,} bytes / {wire_bytes(message_bytes):,} bytes an update on the wire = "
        f"{ceiling:,} updates in flight; {UPDATES_PER_SECOND} updates/s offered",
        settings.out / CHART,
    )
    return Verdict(all(act.passed for act in verdicts), settings.window_bytes, verdicts)


async def _play_cast(
    cast: Cast, sampler: Sampler, progress: Progress, ceiling: int | None
) -> list[tuple[Act, list[Sample]]]:
    played = []
    for act in cast.acts:
        progress.say(f"[bold]{act.name}[/]: {act.title}")
        samples = [await sampler.take()]
        while not act.is_over(samples) and samples[-1].at_seconds - samples[0].at_seconds < act.longest_seconds:
            await asyncio.sleep(SECONDS_BETWEEN_SAMPLES)
            samples.append(await sampler.take())
            progress.show(act.name, samples, ceiling)
        played.append((act, samples))
    return played
