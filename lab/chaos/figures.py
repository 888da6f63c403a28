"""What a service's metrics say at one moment, and its log."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from lab.processes.services import Service


@dataclass(frozen=True)
class Figures:
    """The samples of one scrape."""

    samples: tuple[tuple[str, Mapping[str, str], float], ...]

    @classmethod
    def of(cls, text: str) -> Figures:
        """Return the samples of a page in Prometheus' text format."""
        families = text_string_to_metric_families(text)
        return cls(tuple((s.name, s.labels, s.value) for family in families for s in family.samples))

    def sum(self, name: str, **labels: str) -> float:
        """Return the sum of the samples of a name with these labels; 0 where there are none."""
        return sum(value for found, of, value in self.samples if found == name and labels.items() <= of.items())

    def series(self, label: str = "client") -> int:
        """Return how many samples have a label."""
        return sum(label in of for _, of, _ in self.samples)


async def figures(http: httpx.AsyncClient, service: Service) -> Figures:
    """Return what a service measures now. Raises httpx.HTTPError."""
    return Figures.of((await http.get(service.metrics_url)).raise_for_status().text)


async def with_one_stream(http: httpx.AsyncClient, server: Service, clients: Iterable[Service]) -> set[str]:
    """Return the clients of whose stream both ends mean the same one. Raises httpx.HTTPError."""
    at_server = await figures(http, server)
    found = set()
    for client in clients:
        stream = at_server.sum("flowcontrol_server_stream_ids", client=client.name)
        if stream and stream == (await figures(http, client)).sum("flowcontrol_client_stream_ids"):
            found.add(client.name)
    return found


def events(log: Path, name: str) -> list[dict[str, Any]]:
    """Return what a service has logged of one event."""
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.startswith("{") and name in line]
    found = [json.loads(line) for line in lines if line.endswith("}")]
    return [event for event in found if event["event"] == name]


def at(event: Mapping[str, Any]) -> float:
    """Return when an event was, as Unix time in seconds."""
    return datetime.fromisoformat(event["timestamp"]).timestamp()


def tracebacks(*logs: Path) -> int:
    """Return how many tracebacks logs hold, also within JSON."""
    return sum(log.read_text(errors="replace").count("Traceback (most recent call last)") for log in logs)
