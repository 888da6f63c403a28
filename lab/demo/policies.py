"""Prove what each policy for slow consumers costs: the same slow client under each, side by side on one server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
from pydantic import Field
from pydantic_settings import SettingsConfigDict
from rich.console import Console

from flowcontrol import Window, wire_bytes
from lab.demo import policy_chart
from lab.demo.live import Progress
from lab.demo.play import CHART, PlaySettings, judge, largest_update_bytes, run
from lab.demo.policy_acts import (
    ACT_SECONDS,
    BUFFER_UPDATES,
    DISCONNECT_AFTER_SECONDS,
    SECONDS_PER_UPDATE,
    UPDATE_PADDING_BYTES,
    UPDATES_PER_SECOND,
    PolicyAct,
    program,
)
from lab.processes.samples import Sample, Sampler
from lab.processes.services import run_client, run_server
from lab.verdict import Verdict
from servicekit.values import Folder

LARGEST_WINDOW_BYTES = 262_144
"""With a larger one the slow client would not have read what the window holds within the demo."""

SECONDS_BETWEEN_SAMPLES = 0.2


class DemoPoliciesSettings(PlaySettings):
    """Give the same slow client each of the four policies, side by side; judge them, and draw them."""

    model_config = SettingsConfigDict(
        env_prefix="LAB_POLICIES_", cli_prog_name="lab demo-policies", cli_show_env_vars=True
    )

    window_bytes: int = Field(
        16_384,
        le=LARGEST_WINDOW_BYTES,
        description=f"receive window of the clients, 16384 to {LARGEST_WINDOW_BYTES} bytes",
    )
    out: Folder = Field(
        Path("out/demo-policies"), description="folder for chart.png, verdict.json and the services' logs"
    )


def main(arguments: Sequence[str]) -> int:
    """Play the demo; return 0 where all claims hold, 1 where one does not."""
    return run(DemoPoliciesSettings, play, arguments)


async def play(settings: DemoPoliciesSettings, console: Console) -> Verdict:
    """Run all four clients at once, and draw them. Raises ServiceFailedError."""
    window = Window(settings.window_bytes)
    message_bytes = largest_update_bytes(UPDATE_PADDING_BYTES)
    acts = program(window, message_bytes)
    samples = await _samples(acts, window, settings.out / "logs", console)
    ceiling_bytes = window.ceiling_bytes(message_bytes)
    taken = [(act, samples[act.policy]) for act in acts]
    verdicts = [judge(act.policy, of_act, act.claims(of_act), ceiling_bytes) for act, of_act in taken]
    policy_chart.draw(
        [
            policy_chart.Panel(act.policy, act.title, of_act, act.oldest_seconds, judged.passed)
            for (act, of_act), judged in zip(taken, verdicts, strict=True)
        ],
        f"{UPDATES_PER_SECOND} updates/s of {wire_bytes(message_bytes):,} bytes on the wire; each client takes "
        f"{SECONDS_PER_UPDATE:g} s per update and has a window of {settings.window_bytes:,} bytes; "
        f"buffers of {BUFFER_UPDATES} updates",
        settings.out / CHART,
    )
    return Verdict(all(act.passed for act in verdicts), settings.window_bytes, verdicts)


async def _samples(acts: Sequence[PolicyAct], window: Window, logs: Path, console: Console) -> dict[str, list[Sample]]:
    server_arguments = (
        *("--update-interval-seconds", str(1 / UPDATES_PER_SECOND), "--padding-bytes", str(UPDATE_PADDING_BYTES)),
        *("--buffer-updates", str(BUFFER_UPDATES), "--disconnect-after-seconds", str(DISCONNECT_AFTER_SECONDS)),
    )
    client_arguments = (
        *("--processing", str(SECONDS_PER_UPDATE), "--window-bytes", str(window), "--no-log-updates"),
        *("--backoff-initial-seconds", "0.2"),
    )
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(httpx.AsyncClient())
        server = await stack.enter_async_context(run_server(logs, *server_arguments))
        samplers = {}
        for act in acts:
            client = run_client(logs, act.policy, server, "--policy", act.policy, *client_arguments)
            samplers[act.policy] = Sampler(http, server, await stack.enter_async_context(client))
        samples: dict[str, list[Sample]] = {policy: [] for policy in samplers}
        progress = stack.enter_context(Progress(console))
        progress.say(f"Four clients that need {SECONDS_PER_UPDATE:g} s per update, of {UPDATES_PER_SECOND} updates/s")
        ends_at = time.monotonic() + ACT_SECONDS
        while time.monotonic() < ends_at:
            for policy, sampler in samplers.items():
                samples[policy].append(await sampler.take())
            progress.show_all(samples)
            await asyncio.sleep(SECONDS_BETWEEN_SAMPLES)
    return samples
