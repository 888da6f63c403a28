"""What server and client say of one client's streams, read from both their metrics at one moment after another."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import httpx
from prometheus_client.parser import text_string_to_metric_families

from lab.processes.services import Service


@dataclass(frozen=True)
class Sample:
    """The figures of one client at one moment; counts since its start."""

    at_seconds: float
    """Seconds since the sampler began."""
    sent: int
    sent_bytes: int
    received: int
    received_bytes: int
    processed: int
    missed: int
    repeated: int
    dropped_seen: int
    """Updates that the client knows the server has left out for it."""
    reconnects: int
    working_age_seconds: float
    """Age of the update that the client is processing; 0 while it waits for one."""
    produced: int
    dropped: int
    waiting: int
    blocked_seconds: float
    blocked_now_seconds: float
    server_memory_bytes: int

    @property
    def in_flight(self) -> int:
        """Updates sent and not yet read."""
        return self.sent - self.received

    @property
    def in_flight_bytes(self) -> int:
        """Bytes on the wire of those."""
        return self.sent_bytes - self.received_bytes


class Sampler:
    """Takes samples of one client and its server.

    The client is asked first: what is sent in between counts as in flight, so that the figure is never too low.
    """

    def __init__(self, http: httpx.AsyncClient, server: Service, client: Service) -> None:
        self._http = http
        self._server = server
        self._client = client
        self._began_at = time.monotonic()

    async def take(self) -> Sample:
        """Return a sample. Raises ServiceFailedError where one of the two has ended."""
        for service in (self._server, self._client):
            service.check()
        client = await scrape(self._http, self._client.metrics_url, self._client.name)
        server = await scrape(self._http, self._server.metrics_url, self._client.name)
        return Sample(
            at_seconds=time.monotonic() - self._began_at,
            sent=int(server.get("flowcontrol_server_sent_messages_total", 0)),
            sent_bytes=int(server.get("flowcontrol_server_sent_bytes_total", 0)),
            received=int(client.get("flowcontrol_client_received_messages_total", 0)),
            received_bytes=int(client.get("flowcontrol_client_received_bytes_total", 0)),
            processed=int(client.get("stock_updates_received_total", 0)),
            missed=int(client.get("stock_client_missed_updates_total", 0)),
            repeated=int(client.get("stock_client_repeated_updates_total", 0)),
            dropped_seen=int(client.get("stock_client_dropped_updates_total", 0)),
            reconnects=int(client.get("stock_client_reconnects_total", 0)),
            working_age_seconds=client.get("stock_client_working_age_seconds", 0.0),
            produced=int(server.get("flowcontrol_server_produced_messages_total", 0)),
            dropped=int(server.get("flowcontrol_server_dropped_messages_total", 0)),
            waiting=int(server.get("flowcontrol_server_waiting_messages", 0)),
            blocked_seconds=server.get("flowcontrol_server_write_blocked_seconds_total", 0.0),
            blocked_now_seconds=server.get("flowcontrol_server_write_blocked_now_seconds", 0.0),
            server_memory_bytes=int(server.get("process_resident_memory_bytes", 0)),
        )


async def scrape(http: httpx.AsyncClient, url: str, client: str) -> Mapping[str, float]:
    """Return the values of a service's metrics by name: those without a client, and those of `client`."""
    text = (await http.get(url)).raise_for_status().text
    return {
        sample.name: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.labels.get("client", client) == client
    }
