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
        self.address = str(http.base_url.copy_with(username=None, password=None)).rstrip("/")
        """Without the login that it may hold."""

    async def check_records(self, name: str) -> None:
        """Raise PrometheusError where no rule records `name`: it is then another Prometheus than was meant."""
        groups = (await self._ask("rules", {"type": "record"}, method="GET"))["groups"]
        if not any(rule["name"] == name for group in groups for rule in group["rules"]):
            raise PrometheusError(
                f"Prometheus at {self.address} is not the stack's: no rule of it records {name} (obs/prometheus/rules)"
            )

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

    async def _ask(self, path: str, fields: Mapping[str, Any], method: str = "POST") -> Any:
        # posted, for a query may be longer than an address may be
        data, params = (dict(fields), None) if method == "POST" else (None, dict(fields))
        try:
            answer = await self._http.request(
                method, f"api/v1/{path}", data=data, params=params, timeout=ANSWER_SECONDS
            )
        except httpx.TimeoutException:
            raise PrometheusError(f"Prometheus at {self.address} has not answered in {ANSWER_SECONDS:g} s") from None
        except httpx.TransportError as error:
            raise PrometheusError(f"Prometheus does not answer at {self.address}: {error}") from None
        try:
            body = answer.json()
        except ValueError:
            body = None
        if not isinstance(body, dict) or body.get("status") not in ("success", "error"):
            raise PrometheusError(f"what answers at {self.address} is no Prometheus: HTTP {answer.status_code}")
        if body["status"] == "error":
            asked = fields.get("query", path)
            raise PrometheusError(f"Prometheus at {self.address} refuses {asked}: {body.get('error')}")
        return body["data"]
