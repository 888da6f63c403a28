"""Prove what each policy for slow consumers costs: the same slow client under each, side by side on one server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
from pydantic import Field, field_validator
from pydantic_settings import SettingsConfigDict
from rich.console import Console

from flowcontrol import Window, wire_bytes
from lab import policy_chart
from lab.demo import finish, largest_update_bytes, new_console
from lab.live import Progress
from lab.policy_acts import (
    ACT_SECONDS,
    BUFFER_UPDATES,
    DISCONNECT_AFTER_SECONDS,
    SECONDS_PER_UPDATE,
    UPDATE_PADDING_BYTES,
    UPDATES_PER_SECOND,
    PolicyAct,
    program,
)
from lab.samples import Sample, Sampler
from lab.services import ServiceFailedError, run_client, run_server
from lab.verdict import ActVerdict, Verdict
from servicekit.errors import exit_with
from servicekit.settings import CommandSettings, load_settings

LARGEST_WINDOW_BYTES = 262_144
"""With a larger one the slow client would not have read what the window holds within the demo."""

SECONDS_BETWEEN_SAMPLES = 0.2


class DemoPoliciesSettings(CommandSettings):
    """Give the same slow client each of the four policies, side by side; judge them, and draw them."""

    model_config = SettingsConfigDict(
        env_prefix="LAB_POLICIES_", cli_prog_name="lab demo-policies", cli_show_env_vars=True
    )

    window_bytes: int = Field(
        16_384,
        le=LARGEST_WINDOW_BYTES,
        description=f"receive window of the clients, 16384 to {LARGEST_WINDOW_BYTES} bytes",
    )
    out: Path = Field(
        Path("out/demo-policies"), description="folder for chart.png, verdict.json and the services' logs"
    )

    @field_validator("window_bytes")
    @classmethod
    def _is_a_window(cls, size: int) -> int:
        Window(size)
        return size


def main(arguments: Sequence[str]) -> int:
    """Play the demo; return 0 where all claims hold, 1 where one does not."""
    settings = load_settings(DemoPoliciesSettings, arguments)
    console = new_console()
    try:
        verdict = asyncio.run(play(settings, console))
    except ServiceFailedError as error:
        exit_with("lab demo-policies", str(error))
    return finish(verdict, console, settings.out)


async def play(settings: DemoPoliciesSettings, console: Console) -> Verdict:
    """Run all four clients at once, and write `chart.png` and `verdict.json`. Raises ServiceFailedError."""
    began_at = time.monotonic()
    window = Window(settings.window_bytes)
    message_bytes = largest_update_bytes(UPDATE_PADDING_BYTES)
    acts = program(window, message_bytes)
    samples = await _run(acts, window, settings.out / "logs", console)
    verdicts = [_judge(act, samples[act.policy], window.ceiling_bytes(message_bytes)) for act in acts]
    verdict = Verdict(all(act.passed for act in verdicts), settings.window_bytes, verdicts)
    verdict.write_json(settings.out / "verdict.json")
    policy_chart.draw(
        [
            policy_chart.Panel(act.policy, act.title, samples[act.policy], act.oldest_seconds, judged.passed)
            for act, judged in zip(acts, verdicts, strict=True)
        ],
        f"{UPDATES_PER_SECOND} updates/s of {wire_bytes(message_bytes):,} bytes on the wire; each client takes "
        f"{SECONDS_PER_UPDATE:g} s per update and has a window of {settings.window_bytes:,} bytes; "
        f"buffers of {BUFFER_UPDATES} updates",
        settings.out / "chart.png",
    )
    console.print(f"Played in {time.monotonic() - began_at:.0f} s.", highlight=False)
    return verdict


async def _run(acts: Sequence[PolicyAct], window: Window, logs: Path, console: Console) -> dict[str, list[Sample]]:
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


def _judge(act: PolicyAct, samples: Sequence[Sample], ceiling_bytes: int | None) -> ActVerdict:
    return ActVerdict.of(act.policy, samples, act.claims(samples), ceiling_bytes)
