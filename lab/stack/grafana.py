"""Grafana's HTTP API, as far as the lab asks it: dashboards, and their pictures."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
from PIL import Image, UnidentifiedImageError

ANSWER_SECONDS = 15.0
"""How long anything but a picture may take."""

RENDER_SECONDS = 60
"""How long the renderer may take for a picture; mostly it takes 2 to 15 s."""

ROW_PIXELS = 38
"""Height of a row of a dashboard's grid, with the gap below it (GRID_CELL_HEIGHT and GRID_CELL_VMARGIN in Grafana)."""

AROUND_PIXELS = 60
"""What a dashboard has above and below its rows where it is shown alone."""

NO_PICTURES = (
    "rendering_plugin_not_installed",
    "rendering_limit_dark",
    "rendering_limit_light",
    "rendering_error_dark",
    "rendering_error_light",
    "rendering_timeout_dark",
    "rendering_timeout_light",
)
"""What Grafana answers with, as a picture and with status 200, where it has none (pkg/services/rendering)."""

Parameters = Sequence[tuple[str, str]]


class GrafanaError(Exception):
    """Grafana cannot be asked, or has no picture to give; the text is one line for a person."""


@dataclass(frozen=True)
class Panel:
    """A panel of a dashboard."""

    id: int
    title: str


@dataclass(frozen=True)
class Dashboard:
    """A dashboard, and how high it is."""

    uid: str
    title: str
    height_pixels: int
    panels: Sequence[Panel]


class Grafana:
    """A Grafana server, asked through an HTTP client whose base is its address and which has the login, if any."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http
        self.address = str(http.base_url.copy_with(username=None, password=None)).rstrip("/")
        """Without the login that it may hold."""
        self._no_pictures: dict[bytes, str] | None = None

    async def now(self) -> float:
        """Return Grafana's own time, in whole seconds of the Unix clock. Raises GrafanaError: it is no Grafana."""
        health = await self._get("api/health")
        if not isinstance(_json(health), dict) or "database" not in _json(health):
            raise GrafanaError(f"what answers at {self.address} is no Grafana: HTTP {health.status_code}")
        date = health.headers.get("date")
        return parsedate_to_datetime(date).timestamp() if date else time.time()

    async def dashboard(self, uid: str) -> Dashboard:
        """Return a dashboard. Raises GrafanaError where it is not there, or Grafana wants a login."""
        answer = await self._get(f"api/dashboards/uid/{uid}")
        if answer.status_code == httpx.codes.NOT_FOUND:
            raise GrafanaError(f"Grafana at {self.address} has no dashboard {uid}")
        body = self._content(answer)
        try:
            return _dashboard(uid, body["dashboard"])
        except (KeyError, TypeError):
            raise GrafanaError(f"what Grafana at {self.address} says of dashboard {uid} is not understood") from None

    async def check_renderer(self) -> None:
        """Raise GrafanaError where Grafana knows no image renderer."""
        if self._content(await self._get("api/frontend/settings")).get("rendererAvailable") is False:
            raise GrafanaError(f"Grafana at {self.address} has no image renderer: its setting rendering.server_url")

    async def dashboard_picture(self, dashboard: Dashboard, width: int, height: int, parameters: Parameters) -> bytes:
        """Return a dashboard as PNG, without menus. Raises GrafanaError."""
        return await self._picture(f"d/{dashboard.uid}/-", width, height, (*parameters, ("kiosk", "true")))

    async def panel_picture(
        self, dashboard: Dashboard, panel: Panel, width: int, height: int, parameters: Parameters
    ) -> bytes:
        """Return a panel as PNG. Raises GrafanaError."""
        fields = (*parameters, ("panelId", str(panel.id)))
        return await self._picture(f"d-solo/{dashboard.uid}/-", width, height, fields)

    async def _picture(self, path: str, width: int, height: int, parameters: Parameters) -> bytes:
        fields = (*parameters, ("width", str(width)), ("height", str(height)), ("timeout", str(RENDER_SECONDS)))
        answer = await self._get(f"render/{path}", fields, RENDER_SECONDS + ANSWER_SECONDS)
        self._refuse_login(answer)
        if answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
            raise GrafanaError(
                f"Grafana at {self.address} could not render {path} (HTTP {answer.status_code}): its image renderer "
                "does not answer, shares no token with it, or took too long; Grafana's log tells which"
            )
        if answer.status_code != httpx.codes.OK or answer.headers.get("content-type") != "image/png":
            kind = answer.headers.get("content-type", "nothing")
            raise GrafanaError(
                f"Grafana at {self.address} answers with {kind}, not a picture, for {path}: HTTP {answer.status_code}"
            )
        name = (await self._known_no_pictures()).get(answer.content)
        if name is not None:
            raise GrafanaError(f"Grafana at {self.address} has no picture of {path}, but shows its {name}.png")
        problem = _problem(answer.content, width, height)
        if problem:
            raise GrafanaError(f"what Grafana at {self.address} rendered for {path} is {problem}")
        return answer.content

    async def _known_no_pictures(self) -> Mapping[bytes, str]:
        if self._no_pictures is None:
            self._no_pictures = {}
            for name in NO_PICTURES:
                answer = await self._get(f"public/img/{name}.png")
                if answer.status_code == httpx.codes.OK:
                    self._no_pictures[answer.content] = name
        return self._no_pictures

    def _content(self, answer: httpx.Response) -> Any:
        self._refuse_login(answer)
        body = _json(answer)
        if answer.status_code != httpx.codes.OK or not isinstance(body, dict):
            reason = body.get("message", "") if isinstance(body, dict) else ""
            raise GrafanaError(f"Grafana at {self.address} answers HTTP {answer.status_code} {reason}".rstrip())
        return body

    def _refuse_login(self, answer: httpx.Response) -> None:
        refused = answer.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN)
        if refused or (answer.is_redirect and "/login" in answer.headers["location"]):
            body = _json(answer)
            reason = f" ({body['message']})" if isinstance(body, dict) and "message" in body else ""
            raise GrafanaError(
                f"Grafana at {self.address} wants a login{reason}: set LAB_SNAPSHOT_GRAFANA_USER and "
                "LAB_SNAPSHOT_GRAFANA_PASSWORD, or LAB_SNAPSHOT_GRAFANA_TOKEN"
            )

    async def _get(self, path: str, fields: Parameters = (), seconds: float = ANSWER_SECONDS) -> httpx.Response:
        try:
            return await self._http.get(path, params=list(fields), timeout=seconds)
        except httpx.TimeoutException:
            raise GrafanaError(f"Grafana at {self.address} has not answered {path} in {seconds:g} s") from None
        except httpx.TransportError as error:
            raise GrafanaError(f"Grafana does not answer at {self.address}: {error}") from None


def _json(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        return None


def _dashboard(uid: str, body: Mapping[str, Any]) -> Dashboard:
    places = [panel["gridPos"] for panel in body["panels"]]
    rows = max((place["y"] + place["h"] for place in places), default=0)
    panels = [Panel(panel["id"], panel.get("title", "")) for panel in _flat(body["panels"])]
    return Dashboard(uid, body.get("title", uid), rows * ROW_PIXELS + AROUND_PIXELS, panels)


def _flat(panels: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    for panel in panels:
        if panel["type"] == "row":
            yield from _flat(panel.get("panels") or [])  # those of a collapsed row
        else:
            yield panel


def _problem(content: bytes, width: int, height: int) -> str | None:
    try:
        with Image.open(io.BytesIO(content), formats=["PNG"]) as picture:
            colors = picture.convert("RGB").getcolors(1)
            size = picture.size
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError):
        return "no PNG, or a broken one"
    if size != (width, height):
        return f"{size[0]} x {size[1]} pixels, not {width} x {height}: the renderer's limits, or a picture of an error"
    return "blank" if colors else None
