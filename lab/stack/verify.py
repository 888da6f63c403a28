"""Prove backpressure on a running stack: ask Prometheus what `lab demo` asks its own samples."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx
from pydantic import Field
from pydantic_settings import SettingsConfigDict
from rich.console import Console

from lab.console import Bar, new_console
from lab.stack.address import Address, AddressError, address_of
from lab.stack.expectations import FAST, SLOW, Readiness, Role, of_another_state, offered_per_second
from lab.stack.observed import Observed, named, observe
from lab.stack.prometheus import Prometheus, PrometheusError
from lab.stack.states import STATE
from lab.verdict import Verdict, report
from servicekit.errors import exit_with
from servicekit.settings import CommandSettings, load_settings, names_of
from servicekit.values import Folder, SomeSeconds, Url

CLIENTS_WITHIN_SECONDS = 30.0
"""How long to wait for clients that Prometheus does not know: it scrapes and records every 5 s."""

SECONDS_BETWEEN_QUERIES = 1.0

NONE = "none"


class NoClientsError(Exception):
    """A client that was to be judged is not there; the text is one line for a person."""


class VerifySettings(CommandSettings):
    """Ask Prometheus whether fast clients keep up and slow ones are held back, with nothing lost."""

    model_config = SettingsConfigDict(env_prefix="LAB_VERIFY_", cli_prog_name="lab verify", cli_show_env_vars=True)

    prometheus_url: Url | None = Field(
        None,
        description="address of Prometheus, http://HOST:PORT, before HOST perhaps USER:PASSWORD@; unless set, that of "
        "the stack that Docker Compose runs, else of 127.0.0.1 and PROMETHEUS_PORT",
    )
    fast: str = Field(
        "client", description="name of the fast clients, alone or followed by '-' and more; none: expect none"
    )
    slow: str = Field(
        "slow-client", description="name of the slow clients, alone or followed by '-' and more; none: expect none"
    )
    span_seconds: float = Field(
        60.0, ge=5, le=3600, description="seconds of data that are judged, 5 to 3600; the data of before counts too"
    )
    timeout_seconds: SomeSeconds = Field(300.0, description="seconds to wait for enough data, above 0")
    out: Folder = Field(Path("out/verify"), description="folder for verdict.json")


def main(arguments: Sequence[str]) -> int:
    """Judge; return 0 where all claims hold, 1 where one does not."""
    settings = load_settings(VerifySettings, arguments)
    console = new_console()
    try:
        address = address_of("prometheus", settings.prometheus_url, names_of(VerifySettings, "prometheus_url"))
        verdict = asyncio.run(verify(settings, address, console))
    except (AddressError, PrometheusError, NoClientsError) as error:
        exit_with("lab verify", str(error))
    return report(verdict, settings.out / "verdict.json", console)


async def verify(settings: VerifySettings, address: Address, console: Console) -> Verdict:
    """Wait until Prometheus has recorded enough, and judge it. Raises PrometheusError, NoClientsError."""
    roles = {name: role for name, role in ((settings.fast, FAST), (settings.slow, SLOW)) if name != NONE}
    async with httpx.AsyncClient(base_url=address.url) as http:
        prometheus = Prometheus(http)
        try:
            await prometheus.check_records(STATE)
        except PrometheusError as error:
            raise PrometheusError(f"{error}; {address.hint}") from None
        with Bar(console, "verify") as bar:
            clients, enough = await _wait(prometheus, roles, settings, bar)
    if not enough:
        console.print(f"Not enough data after {settings.timeout_seconds:g} s; judged is what there is.")
    return judge(clients, roles, settings.span_seconds)


async def _wait(
    prometheus: Prometheus, roles: Mapping[str, Role], settings: VerifySettings, bar: Bar
) -> tuple[list[Observed], bool]:
    span = settings.span_seconds
    began_at = time.monotonic()
    bar.say(f"asks Prometheus at {prometheus.address}")
    bar.say(f"wants {span:g} s of data of each client, of slow ones while they are held back")
    while True:
        clients = await observe(prometheus, max(300.0, 4 * span), min(5.0, span / 10))
        waited = time.monotonic() - began_at
        missing = [name for name in roles if not named(clients, name)]
        if missing and waited >= min(CLIENTS_WITHIN_SECONDS, settings.timeout_seconds):
            raise NoClientsError(_missing(missing[0], clients))
        if missing:
            bar.show(0.0, f"Prometheus knows no client {' and no '.join(missing)} yet")
        else:
            states = [_readiness(roles[name], client, span) for name in roles for client in named(clients, name)]
            slowest = min(states, key=lambda state: state.done)
            bar.show(slowest.done, slowest.why)
            if slowest.done >= 1 or waited >= settings.timeout_seconds:
                return clients, slowest.done >= 1
        await asyncio.sleep(SECONDS_BETWEEN_QUERIES)


def judge(clients: Sequence[Observed], roles: Mapping[str, Role], span_seconds: float) -> Verdict:
    """Return the verdict on all clients that have a role; there is one at least."""
    offered = offered_per_second(clients)
    judged = [(role, client) for name, role in roles.items() for client in named(clients, name)]
    acts = [
        role.judge(client, span_seconds, offered) if client.is_comparable else of_another_state(client)
        for role, client in judged
    ]
    windows = [client.most("window_bytes") for _, client in judged]
    window_bytes = next((window for window in reversed(windows) if not math.isnan(window)), 0)
    return Verdict(all(act.passed for act in acts), round(window_bytes), acts)


def _readiness(role: Role, client: Observed, seconds: float) -> Readiness:
    if client.is_comparable:
        return role.readiness(client, seconds)
    return Readiness(0.0, f"{client.name} is {client.words}")


def _missing(name: str, clients: Sequence[Observed]) -> str:
    if not clients:
        return f"Prometheus knows no client: {_HINT}"
    names = ", ".join(client.name for client in clients[:5]) + (", ..." if len(clients) > 5 else "")
    return f"Prometheus knows no client {name} or {name}-*, but {names}; see lab verify --help"


_HINT = "are the server and its clients up, does it scrape them, and are the rules of obs/prometheus/rules loaded?"
