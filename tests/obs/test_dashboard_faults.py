"""What the dashboards' figures tell in each fault: a real Prometheus, and services that are stopped, killed or refused.

Where Prometheus itself does not answer, a figure shows its text for that; test_dashboard_colors.py looks at those.
"""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from dashboards.roles import GREY, HELD_BACK, NO_DATA, NO_STREAM, NOT_KNOWN, WORKING_OFF

from processes import Service, Services, free_port, running_services
from prometheus_tools import EVERY_SECOND, Prometheus, command, running_prometheus, write_rules, write_targets
from tiles import Shown, shown
from waiting import until_blocking

pytestmark = pytest.mark.timeout(240)

WITHIN_SECONDS = 60.0

ABOUT_STREAMS = ("Held back now", "In flight / ceiling", "Writes blocked")
"""Figures that only a server can tell."""

NOTHING = Shown("", NO_DATA, GREY)


class Stage:
    """Services, the Prometheus that watches them, and what its dashboard shows."""

    def __init__(self, folder: Path, services: Services, prometheus: Prometheus) -> None:
        self._folder = folder
        self._services = services
        self._prometheus = prometheus
        self._clients: list[int] = []
        self._ports = free_port(), free_port()
        self.server: Service

    def start_server(self) -> None:
        """Start the server, always on the same ports, or start it again."""
        grpc_port, metrics_port = self._ports
        self.server = self._services.server(
            *("--update-interval-seconds", "0.02", "--held-back-share", "0.4", "--metrics-port", str(metrics_port)),
            *("--expected-clients", "client,slow-client", "--allowed-policies", "pause"),
            grpc_port=grpc_port,
        )
        write_targets(self._folder, "server", self.server.metrics_port)

    def start_client(self, name: str, *arguments: str) -> None:
        """Start a client, and let Prometheus know."""
        client = self._services.client(f"127.0.0.1:{self._ports[0]}", *arguments, name=name)
        self._clients.append(client.metrics_port)
        write_targets(self._folder, "client", *self._clients)

    def shows(self, title: str, *figures: Shown) -> None:
        """Wait until a panel of Backpressure shows these figures and no others."""
        until_blocking(
            lambda: shown(self._prometheus, "backpressure", title),
            set(figures).__eq__,
            within_seconds=WITHIN_SECONDS,
            every_seconds=0.5,
            what=f"{title}: {figures}",
        )


def test_the_figures_tell_each_fault_as_what_it_is(tmp_path: Path) -> None:
    command("prometheus")  # skips before anything has started
    write_rules(tmp_path)
    write_targets(tmp_path, "server")
    write_targets(tmp_path, "client")
    with (
        running_services(tmp_path) as services,
        running_prometheus(tmp_path, EVERY_SECOND.format(folder=tmp_path)) as seen,
    ):
        stage = Stage(tmp_path, services, seen)

        # no server at all
        stage.shows("Is all there?", Shown("server", "not found", "red"))
        for title in (*ABOUT_STREAMS, "Oldest data in work"):
            stage.shows(title, NOTHING)
        not_counted = Shown("missed", NOT_KNOWN.name, GREY), Shown("dropped", NOT_KNOWN.name, GREY)
        stage.shows("Updates missed, and dropped", *not_counted)

        # clients that do not come
        stage.start_server()
        missing = [Shown(name, "missing", "red") for name in ("client", "slow-client")]
        stage.shows("Is all there?", *missing)
        stage.start_client("client")
        stage.shows("Is all there?", missing[1])

        # all is well
        stage.start_client("slow-client", "--window-bytes", "16384", "--processing", "0.5")
        stage.shows("Is all there?", Shown("clients 2, servers 1", "all there", "green"))
        held_back = Shown("slow-client", HELD_BACK.name, HELD_BACK.color)
        stage.shows("Held back now", held_back)
        nothing_lost = Shown("missed", "0", "green"), Shown("dropped", "0", "green")
        stage.shows("Updates missed, and dropped", *nothing_lost)

        # a client that is refused
        stage.start_client("refused", "--policy", "conflate")
        refused = Shown("refused", NO_STREAM.name, NO_STREAM.color)
        stage.shows("Is all there?", refused)
        stage.shows("Held back now", held_back)

        # a server that cannot be asked; what the refused one has, which it says itself, is known all the same
        stage.server.send(signal.SIGSTOP)
        address = f"server 127.0.0.1:{stage.server.metrics_port}"
        silent = [Shown(name, NOT_KNOWN.name, GREY) for name in ("client", "slow-client")]
        stage.shows("Is all there?", Shown(address, "down", "red"), refused, *silent)
        stage.shows("Held back now", Shown("clients 2", NOT_KNOWN.name, GREY))
        for title in ABOUT_STREAMS[1:]:
            stage.shows(title, NOTHING)
        stage.shows("Updates missed, and dropped", nothing_lost[0], not_counted[1])

        # it is there again; then it restarts, while the slow client works off what was in flight
        stage.server.send(signal.SIGCONT)
        stage.shows("Held back now", held_back)
        stage.server.stop()
        stage.start_server()
        stage.shows("Held back now", Shown("slow-client", WORKING_OFF.name, WORKING_OFF.color))
        stage.shows("Is all there?", missing[1], refused)
