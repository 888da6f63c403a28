"""Replay the two experiments that this began with: a server and one client, fast or slow, for five minutes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import httpx
from pydantic import Field
from pydantic_settings import CliPositionalArg, SettingsConfigDict
from rich.console import Console

from flowcontrol import DEFAULT_WINDOW_BYTES
from lab.console import Bar, new_console
from lab.stack.address import Address
from lab.stack.compose import ComposeError, Stack, port_near
from lab.stack.expectations import (
    MEASURING_ERROR_UPDATES,
    judge_fast,
    judge_slow,
    offered_per_second,
    round_up,
    slow_reader,
)
from lab.stack.grafana import GrafanaError
from lab.stack.observed import Observed, named, observe
from lab.stack.prometheus import Prometheus, PrometheusError
from lab.stack.snapshot import SnapshotSettings, snapshot
from lab.verdict import ActVerdict, Verdict, at_least, between, report
from servicekit.errors import exit_with
from servicekit.settings import CommandSettings, load_settings
from servicekit.values import Folder

UPDATES_PER_SECOND = 10
CLIENT_WITHIN_SECONDS = 120.0
"""How long the client's stream may take to show in Prometheus, once Compose has started it."""

SLOWEST_SECONDS = 3.0
"""What the slow client takes for an update at most: `random` is 1, 2 or 3 s."""

OFFERED_AT_LEAST = 0.5
"""Share of the updates that a busy server sends at least: beats that it misses are not made up for."""

SETTLING_SECONDS = 60.0
"""The recorded figures allow for the time between scrapes by rates that look back a minute."""

SERVICES = {"fast": "client", "slow": "slow-client"}


class ScenarioSettings(CommandSettings):
    """Run a server and one client with fresh data through Docker Compose, judge them, and save the dashboard."""

    model_config = SettingsConfigDict(env_prefix="LAB_SCENARIO_", cli_prog_name="lab scenario", cli_show_env_vars=True)

    experiment: CliPositionalArg[Literal["fast", "slow"]] = Field(
        description="fast: sent and processed stay together; slow: 1 to 3 s an update, and sent stops"
    )
    seconds: float = Field(300.0, ge=20, le=3600, description="seconds that the client's stream lasts, 20 to 3600")
    window_bytes: int = Field(
        DEFAULT_WINDOW_BYTES, ge=16_384, le=2**31 - 1, description="receive window of the client, 16384 or more bytes"
    )
    snapshot: bool = Field(True, description="save the dashboard and its panels at the end; without, no Grafana runs")
    keep: bool = Field(False, description="leave the stack running at the end")
    out: Folder = Field(Path("out"), description="folder for scenario-fast or scenario-slow")

    @property
    def folder(self) -> Path:
        """Where everything is written to."""
        return self.out / f"scenario-{self.experiment}"


def main(arguments: Sequence[str]) -> int:
    """Run the experiment; return 0 where all claims hold, 1 where one does not."""
    settings = load_settings(ScenarioSettings, arguments)
    console = new_console()
    try:
        verdict = asyncio.run(run(settings, console))
    except (ComposeError, PrometheusError, GrafanaError) as error:
        exit_with("lab scenario", str(error))
    return 0 if verdict.passed else 1


async def run(settings: ScenarioSettings, console: Console) -> Verdict:
    """Start the stack, run the experiment on it, and end it. Raises ComposeError, PrometheusError, GrafanaError."""
    ports = {"PROMETHEUS_PORT": port_near(9090), "GRAFANA_PORT": port_near(3000), "GRPC_PORT": port_near(4444)}
    grafana_url = f"http://127.0.0.1:{ports['GRAFANA_PORT']}"
    window = str(settings.window_bytes)
    stack = Stack(
        f"backpressure-scenario-{settings.experiment}",
        {
            **{name: str(port) for name, port in ports.items()},
            "STOCK_SERVER_UPDATE_INTERVAL_SECONDS": str(1 / UPDATES_PER_SECOND),
            "STOCK_SERVER_INITIAL_DELAY_SECONDS": "0",
            "STOCK_SERVER_PADDING_BYTES": "0",
            "STOCK_SERVER_TICKERS": "AAPL",
            "STOCK_SERVER_EXPECTED_CLIENTS": SERVICES[settings.experiment],
            "STOCK_SERVER_POLICY": "pause",
            "STOCK_CLIENT_POLICY": "pause",
            "SLOW_CLIENT_POLICY": "pause",
            "STOCK_CLIENT_PROCESSING": "none",
            "SLOW_CLIENT_PROCESSING": "random",
            "STOCK_CLIENT_WINDOW_BYTES": window,
            "SLOW_CLIENT_WINDOW_BYTES": window,
        },
        settings.folder / "compose.log",
    )
    try:
        with Bar(console, "scenario") as bar:
            bar.say(f"starts the stack; what Docker says is in {settings.folder / 'compose.log'}")
            await stack.down()
            await stack.build()
            await stack.up("prometheus", *(["grafana", "renderer"] if settings.snapshot else []))
            await stack.up("server", SERVICES[settings.experiment])
            bar.say(f"runs{f'; watch it at {grafana_url}' if settings.snapshot else ''}")
            client = await watch(f"http://127.0.0.1:{ports['PROMETHEUS_PORT']}", settings, bar)
        verdict = judge(settings.experiment, client)
        report(verdict, settings.folder / "verdict.json", console)
        if settings.snapshot:
            await _snapshot(grafana_url, client, settings.folder, console)
    finally:
        if not settings.keep:
            await stack.down()
    return verdict


async def watch(prometheus_url: str, settings: ScenarioSettings, bar: Bar) -> Observed:
    """Return the client, once its stream has lasted long enough. Raises PrometheusError."""
    began_at = time.monotonic()
    step = min(5.0, settings.seconds / 30)
    async with httpx.AsyncClient(base_url=prometheus_url) as http:
        while True:
            seen = await observe(Prometheus(http), settings.seconds + CLIENT_WITHIN_SECONDS, step)
            clients = named(seen, SERVICES[settings.experiment])
            waited = time.monotonic() - began_at
            streams = [client for client in clients if client.is_comparable]
            if streams and streams[0].span_seconds >= settings.seconds:
                return streams[0].newest(settings.seconds)
            if waited > settings.seconds + CLIENT_WITHIN_SECONDS or (not streams and waited > CLIENT_WITHIN_SECONDS):
                last = f"; {clients[0].name} is {clients[0].words}" if clients else ""
                raise PrometheusError(f"Prometheus at {prometheus_url} has not seen the client for long enough{last}")
            if streams:
                bar.show(streams[0].span_seconds / settings.seconds, _as_it_stands(streams[0], settings))
            await asyncio.sleep(1.0)


def judge(experiment: str, client: Observed) -> Verdict:
    """Return the verdict on a client whose whole stream has been seen."""
    offered = offered_per_second([client])
    if experiment == "fast":
        act = judge_fast(client, max(client.span_seconds - SETTLING_SECONDS, client.span_seconds / 2), offered)
        seen = client.since_known("sent")
        least = round_up(OFFERED_AT_LEAST * UPDATES_PER_SECOND * seen.span_seconds)
        claims = [at_least("sent", seen.grown("sent"), least, "updates")]
    else:
        judged_seconds = min(60.0, client.span_seconds / 3)
        act = judge_slow(client, judged_seconds, offered)
        ceiling, processed = client.last("ceiling"), client.last("processed")
        held = client.newest(judged_seconds)
        reader = replace(slow_reader(held), come_meanwhile=UPDATES_PER_SECOND * SLOWEST_SECONDS)
        low = round_up(processed + reader.least - MEASURING_ERROR_UPDATES)
        high = round_up(processed + reader.most_at_first + MEASURING_ERROR_UPDATES)
        predicted = f"{ceiling:,.0f} in flight + {processed:,.0f} processed = {ceiling + processed:,.0f}"
        claims = [between(f"sent stops; predicted: {predicted}", client.last("sent"), low, high, "updates")]
    claims = [*claims, *act.claims]
    judged: ActVerdict = replace(act, name=experiment, claims=claims, passed=all(claim.passed for claim in claims))
    return Verdict(judged.passed, round(client.last("window_bytes")), [judged])


def _as_it_stands(client: Observed, settings: ScenarioSettings) -> str:
    figures = (client.last(figure) for figure in ("sent", "processed", "in_flight", "ceiling"))
    sent, processed, in_flight, ceiling = (f"{figure:,.0f}" for figure in figures)
    return (
        f"{client.span_seconds:.0f} of {settings.seconds:.0f} s: sent {sent}, processed {processed}, "
        f"in flight {in_flight}; predicted ceiling {ceiling}"
    )


async def _snapshot(grafana_url: str, client: Observed, folder: Path, console: Console) -> None:
    began, ended = client.moments[0].at_seconds, client.moments[-1].at_seconds
    settings = SnapshotSettings(from_time=f"{began * 1000:.0f}", to_time=f"{ended * 1000:.0f}", out=folder)
    for path in await snapshot(settings, Address(grafana_url, "it is the experiment's", given=True), console):
        console.print(str(path), highlight=False, soft_wrap=True)
