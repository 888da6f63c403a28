"""Save a dashboard and its panels as pictures, through Grafana and its image renderer."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Literal

import httpx
from pydantic import Field, SecretStr
from pydantic_settings import CliSuppress, SettingsConfigDict
from rich.console import Console

from lab.console import Bar, new_console
from lab.stack.address import Address, AddressError, address_of
from lab.stack.grafana import Dashboard, Grafana, GrafanaError, Panel, Parameters
from servicekit.errors import exit_with
from servicekit.settings import CommandSettings, load_settings, names_of
from servicekit.values import Folder, Url

HOME = "backpressure"
"""uid of the stack's home dashboard."""

MOMENT = r"^(now(-\d{1,5}[smhdw])?|\d{1,15})$"
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}

PANEL_PIXELS = (1000, 500)
"""Size of a panel's picture, as in Grafana's Share; the renderer makes none smaller."""

SMALLEST_HEIGHT, LARGEST_PIXELS = 500, 3000
"""What the renderer makes by default (its BROWSER_MIN_HEIGHT, BROWSER_MAX_WIDTH and BROWSER_MAX_HEIGHT)."""

PICTURES_AT_ONCE = 2
"""Each is a browser of its own in the renderer."""


class SnapshotSettings(CommandSettings):
    """Save a Grafana dashboard and each of its panels as PNG."""

    model_config = SettingsConfigDict(
        env_prefix="LAB_SNAPSHOT_",
        cli_prog_name="lab snapshot",
        cli_show_env_vars=True,
        cli_shortcuts={"from-time": "from", "to-time": "to"},
    )

    grafana_url: Url | None = Field(
        None,
        description="address of Grafana, http://HOST:PORT; unless set, that of the stack that Docker Compose runs, "
        "else of 127.0.0.1 and GRAFANA_PORT",
    )
    dashboard: str = Field(HOME, pattern=r"^[A-Za-z0-9_-]{1,40}$", description="uid of the dashboard")
    from_time: str = Field(
        "now-5m", pattern=MOMENT, description="begin of the time range: now-5m (s, m, h, d, w), or ms of Unix time"
    )
    to_time: str = Field("now", pattern=MOMENT, description="end of the time range: now, now-1h, or ms of Unix time")
    theme: Literal["light", "dark"] = Field("light", description="light or dark")
    width: int = Field(
        1280, ge=PANEL_PIXELS[0], le=LARGEST_PIXELS, description="width of the dashboard's picture, 1000 to 3000 pixels"
    )
    height: int | None = Field(
        None,
        ge=SMALLEST_HEIGHT,
        le=LARGEST_PIXELS,
        description="its height, 500 to 3000 pixels; unless set, that of the dashboard",
    )
    client: list[str] = Field([], description="name of a client to show, any number of times; unless set, all of them")
    panels: bool = Field(True, description="save each panel too, as 1000 x 500 pixels")
    out: Folder = Field(Path("out/snapshots"), description="folder for the pictures")
    grafana_user: CliSuppress[str] = Field("", description="user to log in as, where Grafana wants a login")
    grafana_password: CliSuppress[SecretStr] = Field(SecretStr(""), description="its password")
    grafana_token: CliSuppress[SecretStr] = Field(SecretStr(""), description="token of a service account, instead")

    def new_http(self, url: str) -> httpx.AsyncClient:
        """Return a client for Grafana, logged in as these settings say."""
        token = self.grafana_token.get_secret_value()
        login = (self.grafana_user, self.grafana_password.get_secret_value()) if self.grafana_user else None
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.AsyncClient(base_url=url, headers=headers, auth=None if token else login)

    def parameters(self, now_seconds: float) -> Parameters:
        """Return what every picture is asked with: the same minutes, however long the pictures take."""
        clients = [("var-client", name) for name in self.client]
        times = [("from", _milliseconds(self.from_time, now_seconds)), ("to", _milliseconds(self.to_time, now_seconds))]
        return [*times, ("theme", self.theme), *clients]


def main(arguments: Sequence[str]) -> int:
    """Save the pictures; return 0."""
    settings = load_settings(SnapshotSettings, arguments)
    console = new_console()
    try:
        address = address_of("grafana", settings.grafana_url, names_of(SnapshotSettings, "grafana_url"))
        saved = asyncio.run(snapshot(settings, address, console))
    except (AddressError, GrafanaError) as error:
        exit_with("lab snapshot", str(error))
    for path in saved:
        console.print(str(path), highlight=False, soft_wrap=True)
    return 0


async def snapshot(settings: SnapshotSettings, address: Address, console: Console) -> list[Path]:
    """Save the pictures and return where; what is no picture is never saved. Raises GrafanaError."""
    saved: list[Path] = []
    async with settings.new_http(address.url) as http:
        with Bar(console, "snapshot") as bar:
            grafana = Grafana(http)
            bar.say(f"asks Grafana at {grafana.address}")
            parameters, dashboard = await _found(grafana, settings, address)
            await grafana.check_renderer()
            panels = list(dashboard.panels) if settings.panels else []
            bar.show(0.0, f"dashboard {dashboard.title}, a picture takes up to a quarter of a minute")
            height = settings.height or min(max(SMALLEST_HEIGHT, dashboard.height_pixels), LARGEST_PIXELS)
            picture = await grafana.dashboard_picture(dashboard, settings.width, height, parameters)
            saved.append(_save(settings.out / f"{dashboard.uid}.png", picture))
            at_once = asyncio.Semaphore(PICTURES_AT_ONCE)

            async def save(panel: Panel) -> None:
                async with at_once:
                    picture = await grafana.panel_picture(dashboard, panel, *PANEL_PIXELS, parameters)
                saved.append(_save(settings.out / f"{dashboard.uid}-{_file_name(panel)}.png", picture))
                bar.show(len(saved) / (len(panels) + 1), f"{len(saved)} of {len(panels) + 1} pictures, {panel.title}")

            await asyncio.gather(*(save(panel) for panel in panels))
    return sorted(saved)


async def _found(grafana: Grafana, settings: SnapshotSettings, address: Address) -> tuple[Parameters, Dashboard]:
    try:
        now = await grafana.now()
        if not address.given:
            await grafana.dashboard(HOME)  # else it is another Grafana than was meant
        return settings.parameters(now), await grafana.dashboard(settings.dashboard)
    except GrafanaError as error:
        raise GrafanaError(f"{error}; {address.hint}") from None


def _milliseconds(moment: str, now_seconds: float) -> str:
    """Return the milliseconds of Unix time that a moment means, given what now is."""
    if not moment.startswith("now"):
        return moment
    offset = re.fullmatch(r"now(?:-(\d+)([smhdw]))?", moment)
    back = timedelta(**{UNITS[offset[2]]: int(offset[1])}) if offset and offset[1] else timedelta()
    return f"{(now_seconds - back.total_seconds()) * 1000:.0f}"


def _save(path: Path, picture: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_bytes(picture)
    part.replace(path)
    return path


def _file_name(panel: Panel) -> str:
    words = re.sub(r"[^a-z0-9]+", "-", panel.title.lower()).strip("-")
    return f"{panel.id:02}-{words}".rstrip("-")
