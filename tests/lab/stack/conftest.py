from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from processes import running_services
from prometheus_tools import EVERY_SECOND, command, running_prometheus, write_rules, write_targets
from waiting import until_blocking


@dataclass(frozen=True)
class Watched:
    """A server with a fast and a slow client that Prometheus watches."""

    prometheus_url: str
    server_metrics_url: str


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """Run them once for a file's tests; the slow client is held back after some twenty seconds.

    25 updates a second: each write waits some milliseconds for the processor where the machine is busy, and the share
    of the time that these add up to is judged; at 100 a second a fast client was over half of it, and so held back.
    Updates of 250 bytes: the slow client gives half of its window back at once, and 32 of them are sent in a second.
    """
    folder = tmp_path_factory.mktemp("watched")
    command("prometheus")  # skips before anything has started
    write_rules(folder)
    with running_services(folder) as services, running_prometheus(folder, EVERY_SECOND.format(folder=folder)) as seen:
        server = services.server("--update-interval-seconds", "0.04", "--padding-bytes", "143")
        window = ("--window-bytes", "16384")
        fast = services.client(server.address, *window, name="client-0")
        slow = services.client(server.address, *window, "--processing", "0.5", name="slow-client-0")
        write_targets(folder, "server", server.metrics_port)
        write_targets(folder, "client", fast.metrics_port, slow.metrics_port)
        until_blocking(
            lambda: seen.by_client("client:flowcontrol_in_flight_messages:sum"),
            lambda by_client: {"client-0", "slow-client-0"} <= by_client.keys(),
            within_seconds=60,
            what="both clients seen",
        )
        yield Watched(seen.url, f"http://127.0.0.1:{server.metrics_port}")
