"""A server that answers as Grafana was seen to answer, well or badly."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from PIL import Image, ImageDraw

Answer = tuple[int, dict[str, str], bytes]

# Grafana 9.4 with anonymous access, and without: what it said to the same requests
HEALTH = (200, "application/json; charset=UTF-8", b'{"commit": "8f3e923", "database": "ok", "version": "9.4.0-pre"}')
UNAUTHORIZED = (401, "application/json; charset=UTF-8", b'{"message":"Unauthorized"}')
WRONG_PASSWORD = (401, "application/json", b'{"message":"invalid username or password","traceID":""}')
NO_DASHBOARD = (404, "application/json", b'{"message":"Dashboard not found","traceID":""}')
FAILED = (
    500,
    "text/html; charset=UTF-8",
    b"<!doctype html><html><title>Grafana - Error</title>Rendering failed.</html>",
)
LOGIN_PAGE = (200, "text/html; charset=UTF-8", b"<!doctype html><html><title>Grafana</title>Log in</html>")

DASHBOARD = {
    "uid": "backpressure",
    "title": "Backpressure",
    "panels": [
        {"id": 1, "type": "stat", "title": "Held back now", "gridPos": {"x": 0, "y": 0, "w": 24, "h": 20}},
        {
            "id": 2,
            "type": "row",
            "title": "Server",
            "collapsed": True,
            "gridPos": {"x": 0, "y": 20, "w": 24, "h": 1},
            "panels": [
                {"id": 3, "type": "timeseries", "title": "CPU, in %", "gridPos": {"x": 0, "y": 21, "w": 6, "h": 6}}
            ],
        },
    ],
}
HEIGHT = 21 * 38 + 60


def picture(width: int, height: int, blank: bool = False, text: str = "held back") -> bytes:
    image = Image.new("RGB", (width, height), "white")
    if not blank:
        ImageDraw.Draw(image).text((20, 20), text, fill="black")
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def size_of(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


NO_RENDERER = picture(478, 208, text="no image renderer")


def plain(answer: tuple[int, str, bytes]) -> Answer:
    status, kind, body = answer
    return status, {"Content-Type": kind}, body


def png(body: bytes) -> Answer:
    return 200, {"Content-Type": "image/png"}, body


def asked_for(query: dict[str, list[str]]) -> Answer:
    return png(picture(int(query["width"][0]), int(query["height"][0])))


@dataclass
class Grafana:
    """A Grafana, whose answers a test may change; it remembers what it was asked."""

    url: str = ""
    health: Any = field(default_factory=lambda: plain(HEALTH))
    dashboard: Any = field(
        default_factory=lambda: plain((200, "application/json", json_of(dashboard=DASHBOARD, meta={})))
    )
    settings: Any = field(default_factory=lambda: plain((200, "application/json", json_of(rendererAvailable=True))))
    render: Any = asked_for
    no_renderer: bytes = NO_RENDERER
    login: str = ""
    asked: list[tuple[str, dict[str, list[str]]]] = field(default_factory=list)

    def answer(self, path: str, query: dict[str, list[str]], authorization: str) -> Answer:
        self.asked.append((path, query))
        if self.login and path.startswith("/api/dashboards") and authorization != self.login:
            return plain(WRONG_PASSWORD if authorization else UNAUTHORIZED)
        if path.startswith("/render/"):
            return self.render(query) if callable(self.render) else self.render
        if path == "/public/img/rendering_plugin_not_installed.png":
            return png(self.no_renderer)
        fixed = {
            "/api/health": self.health,
            "/api/dashboards/uid/backpressure": self.dashboard,
            "/api/frontend/settings": self.settings,
        }
        return fixed.get(path) or plain(NO_DASHBOARD)


def json_of(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


class Server(ThreadingHTTPServer):
    """Says nothing of clients that hang up: `lab snapshot` does, once one picture has failed."""

    def handle_error(self, *_: Any) -> None:
        pass


@contextmanager
def running_grafana() -> Iterator[Grafana]:
    """Start it on a free port; stop it at the end."""
    grafana = Grafana()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            status, headers, body = grafana.answer(url.path, parse_qs(url.query), self.headers.get("Authorization", ""))
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with Server(("127.0.0.1", 0), Handler) as server:
        grafana.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield grafana
        server.shutdown()
