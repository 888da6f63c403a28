"""Prometheus' HTTP API, as far as the lab asks it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx

ANSWER_SECONDS = 15.0
"""How long a query may take."""

Points = Mapping[float, float]
"""Values by time, in seconds of the Unix clock."""


class PrometheusError(Exception):
    """Prometheus cannot be asked, or refuses; the text is one line for a person."""


class Prometheus:
    """A Prometheus server, asked through an HTTP client whose base is its address."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http
        self._address = str(http.base_url.copy_with(username=None, password=None)).rstrip("/")

    async def now(self) -> float:
        """Return Prometheus' own time, in seconds of the Unix clock. Raises PrometheusError."""
        return float((await self._ask("query", {"query": "time()"}))["result"][1])

    async def by_client(
        self, expressions: Mapping[str, str], from_seconds: float, to_seconds: float, step_seconds: float
    ) -> dict[str, dict[str, Points]]:
        """Return {client: {name: points}} of expressions that are one series a client. Raises PrometheusError."""
        span = {"start": from_seconds, "end": to_seconds, "step": step_seconds}
        answers = await asyncio.gather(
            *(self._ask("query_range", {"query": expression, **span}) for expression in expressions.values())
        )
        clients: dict[str, dict[str, Points]] = {}
        for name, answer in zip(expressions, answers, strict=True):
            for series in answer["result"]:
                points = {float(at): float(value) for at, value in series["values"]}
                clients.setdefault(series["metric"].get("client", ""), {})[name] = points
        return clients

    async def _ask(self, path: str, fields: Mapping[str, Any]) -> Any:
        try:
            answer = await self._http.post(f"api/v1/{path}", data=dict(fields), timeout=ANSWER_SECONDS)
        except httpx.TimeoutException:
            raise PrometheusError(f"Prometheus at {self._address} has not answered in {ANSWER_SECONDS:g} s") from None
        except httpx.TransportError as error:
            raise PrometheusError(f"Prometheus does not answer at {self._address}: {error}") from None
        try:
            body = answer.json()
        except ValueError:
            body = None
        if not isinstance(body, dict) or body.get("status") not in ("success", "error"):
            raise PrometheusError(f"what answers at {self._address} is no Prometheus: HTTP {answer.status_code}")
        if body["status"] == "error":
            raise PrometheusError(f"Prometheus at {self._address} refuses {fields['query']}: {body.get('error')}")
        return body["data"]
