"""What a real Prometheus says of real services while one of them is killed, stopped, refused or out of reach."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from processes import Service, Services, free_port, running_services
from prometheus_tools import EVERY_SECOND, Prometheus, command, running_prometheus, write_rules, write_targets
from waiting import until_blocking

pytestmark = pytest.mark.timeout(120)

GONE, KEEPING_UP, HELD_BACK, STOPPED, WORKING_OFF, NO_STREAM, NOT_KNOWN = range(7)

WITHIN_SECONDS = 30.0

STATE = "client:flowcontrol_state:code"
MISSING = "name:stock_expected_clients:missing"
MARKS = ("client:flowcontrol_stream_opened:change5s", "client:flowcontrol_stream_ended:change5s")
LOOKBACK = "--query.lookback-delta=6s"
"""As compose.yaml and k8s/ have it, at a fifth of their intervals."""


@dataclass
class Scene:
    """A server, clients and a Prometheus that watches them, each of which a test may hurt; it mends it again."""

    folder: Path
    services: Services
    prometheus: Prometheus = field(init=False)
    running: ExitStack = field(default_factory=ExitStack)
    """Ends Prometheus."""
    grpc_port: int = field(default_factory=free_port)
    metrics_port: int = field(default_factory=free_port)
    clients: dict[str, Service] = field(default_factory=dict)
    server: Service = field(init=False)

    def start_prometheus(self) -> None:
        """Start Prometheus, always on the same data."""
        configuration = EVERY_SECOND.format(folder=self.folder)
        self.prometheus = self.running.enter_context(running_prometheus(self.folder, configuration, LOOKBACK))

    def start_server(self) -> None:
        """Start the server, always on the same ports."""
        self.server = self.services.server(
            *("--update-interval-seconds", "0.04", "--held-back-share", "0.3", "--allowed-policies", "pause"),
            *("--expected-clients", "client,slow-client,crashing", "--grace-seconds", "0.5"),
            grpc_port=self.grpc_port,
            metrics_port=self.metrics_port,
        )
        self.watch_server()

    def watch_server(self) -> None:
        """Make the server a target."""
        write_targets(self.folder, "server", self.metrics_port)

    def start_client(self, name: str, *arguments: str) -> None:
        """Start a client, and make it a target."""
        window = ("--window-bytes", "16384", "--ready-within-seconds", "1", "--backoff-max-seconds", "0.5")
        self.clients[name] = self.services.client(f"127.0.0.1:{self.grpc_port}", *window, *arguments, name=name)
        write_targets(self.folder, "client", *(client.metrics_port for client in self.clients.values()))

    def start_slow_client(self) -> None:
        """Start the slow client: what a window holds keeps it busy for minutes."""
        self.start_client("slow-client", "--processing", "1")

    def shows(self, states: dict[str, int], expr: str = STATE) -> None:
        """Wait until Prometheus shows these values, of clients or names; one that should have none is there as -1."""

        def now() -> dict[str, float]:
            values = {
                str(each["metric"].get("client", each["metric"].get("name"))): float(each["value"][1])
                for each in self.prometheus.query(expr)
            }
            return {name: values.get(name, -1) for name in states}

        until_blocking(
            now, lambda seen: seen == states, within_seconds=WITHIN_SECONDS, every_seconds=0.2, what=f"{expr}: {states}"
        )

    def now(self) -> float:
        """Return Prometheus' time."""
        return float(self.prometheus.query("time()")[1])

    def is_well(self) -> None:
        """Wait until all is as it was in the beginning, but for the slow client, which may not yet be held back."""
        self.shows(
            {"client": 1, "slow-client": 1, "refused": -1}, f"{STATE} >= bool {KEEPING_UP} and {STATE} <= {STOPPED}"
        )

    def marks(self, client: str) -> list[set[float]]:
        """Return when streams of a client were opened, and when they ended, as marked in the last 10 minutes."""
        found = [self.prometheus.query(f'{mark}{{client="{client}"}}[10m]') for mark in MARKS]
        return [{float(value) for each in series for _, value in each["values"]} for series in found]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("faults")
    command("prometheus")  # skips before anything has started
    write_rules(folder)
    with running_services(folder) as services, ExitStack() as running:
        scene = Scene(folder, services, running=running)
        scene.start_server()
        scene.start_prometheus()
        scene.start_client("client")
        scene.start_slow_client()
        scene.start_client("refused", "--policy", "conflate")
        yield scene


@pytest.fixture(autouse=True)
def _mended(scene: Scene) -> Iterator[None]:
    scene.is_well()
    yield
    scene.is_well()


def test_who_is_refused_for_ever_is_told_with_the_reason_and_who_crashes_is_missing(scene: Scene) -> None:
    crashing = scene.services.client(scene.server.address, "--policy", "no-such", name="crashing")
    assert crashing.wait() == 2
    scene.shows({"client": 0, "slow-client": 0, "crashing": 1}, MISSING)
    scene.shows({"crashing": 1}, 'ALERTS{alertname="ClientMissing", alertstate="pending"}')
    scene.shows({"refused": 1}, 'ALERTS{alertname="ClientWithoutStream", alertstate="firing"}')
    (alert,) = (
        alert
        for alert in scene.prometheus.get("alerts")["alerts"]
        if alert["labels"]["alertname"] == "ClientWithoutStream"
    )
    assert "PERMISSION_DENIED" in alert["annotations"]["description"]


def test_a_server_that_does_not_answer_makes_nobody_look_well_or_gone(scene: Scene) -> None:
    scene.shows({"slow-client": HELD_BACK})
    before = scene.marks("client"), scene.marks("slow-client")
    scene.server.send(signal.SIGSTOP)
    try:
        scene.shows({"client": NOT_KNOWN, "slow-client": NOT_KNOWN, "refused": NO_STREAM})
        scene.shows({"client": -1, "slow-client": -1, "crashing": -1}, MISSING)
        scene.shows({"client": -1, "slow-client": -1}, "client:flowcontrol_in_flight_messages:sum")
    finally:
        scene.server.send(signal.SIGCONT)
    scene.is_well()
    assert (scene.marks("client"), scene.marks("slow-client")) == before, "the streams went on"


def test_a_server_that_is_no_target_any_more_makes_nobody_look_well_or_gone(scene: Scene) -> None:
    write_targets(scene.folder, "server")
    before = scene.marks("client"), scene.marks("slow-client")
    try:
        scene.shows({"client": NOT_KNOWN, "slow-client": NOT_KNOWN, "refused": NO_STREAM})
        assert scene.prometheus.query('absent(up{job="server"})')
    finally:
        scene.watch_server()
    scene.is_well()
    assert (scene.marks("client"), scene.marks("slow-client")) == before, "the streams went on"


def test_a_server_that_is_killed_takes_all_streams_with_it(scene: Scene) -> None:
    """grpc gives up what was in flight once the connection is gone."""
    scene.server.stop(signal.SIGKILL)
    scene.shows({"client": NO_STREAM, "slow-client": NO_STREAM, "refused": NO_STREAM})
    scene.shows({"client": 1, "slow-client": 1, "refused": 1}, 'ALERTS{alertname="ClientWithoutStream"}')
    scene.start_server()


def test_a_server_is_restarted_while_a_slow_client_works_off(scene: Scene) -> None:
    opened_before, ended_before = scene.marks("client")
    scene.server.metric_reaches(
        "flowcontrol_server_open_streams_sent_messages", lambda sent: sent > 60, client="slow-client"
    )
    scene.server.stop()
    scene.shows({"client": NO_STREAM, "slow-client": NOT_KNOWN, "refused": NO_STREAM})
    until_blocking(lambda: len(scene.marks("client")[1]) > len(ended_before), what="the end is marked")

    scene.start_server()
    scene.shows({"client": KEEPING_UP, "slow-client": WORKING_OFF, "refused": NO_STREAM})
    scene.shows({"slow-client": 1}, 'ALERTS{alertname="ConsumerWorkingOff", alertstate="pending"}')
    scene.shows({"client": 0, "slow-client": 1}, MISSING)
    scene.shows({"slow-client": -1}, "client:flowcontrol_in_flight_messages:sum")
    scene.shows({"slow-client": -1}, "client:stock_updates_processed:sum")
    assert scene.prometheus.by_client("client:stock_working_age_seconds:max")["slow-client"] > 1
    assert scene.prometheus.by_client("client:stock_updates_processed:rate1m")["slow-client"] > 0
    opened, ended = scene.marks("client")
    assert (len(opened), len(ended)) == (len(opened_before) + 1, len(ended_before) + 1)
    assert max(ended) <= max(opened)
    until_blocking(lambda: scene.marks("slow-client")[1], what="its end is marked")

    scene.clients["slow-client"].stop(signal.SIGKILL)
    scene.start_slow_client()


def test_a_client_that_is_killed_is_gone_and_its_stream_marked_as_ended(scene: Scene) -> None:
    scene.start_client("brief")
    scene.shows({"brief": KEEPING_UP})
    scene.clients.pop("brief").stop(signal.SIGKILL)
    scene.shows({"brief": GONE})
    opened, ended = until_blocking(lambda: scene.marks("brief"), lambda marks: all(marks), what="both marks")
    assert (len(opened), len(ended)) == (1, 1)
    assert max(opened) < max(ended)


def test_a_restart_of_prometheus_shows_what_has_changed_meanwhile_and_nothing_else(scene: Scene) -> None:
    scene.start_client("brief")
    scene.shows({"brief": KEEPING_UP})
    others, (opened, ended) = scene.marks("client"), scene.marks("brief")
    scene.running.close()
    scene.clients.pop("brief").stop(signal.SIGKILL)
    scene.start_client("brief")
    scene.clients["brief"].event("update.processed")
    scene.start_prometheus()
    began_at = scene.now()
    until_blocking(lambda: len(scene.marks("brief")[0]) > len(opened), what="its new stream is marked")
    scene.shows({"brief": KEEPING_UP})
    assert [len(marks) for marks in scene.marks("brief")] == [len(opened) + 1, len(ended) + 1]
    assert scene.marks("client") == others
    states = scene.prometheus.get("query_range", query=STATE, start=began_at, end=scene.now(), step=1)["result"]
    seen = {each["metric"]["client"]: {int(value) for _, value in each["values"]} for each in states}
    # not known until its server has been asked as well; on a busy machine it may be held back a little
    assert seen["client"] <= {KEEPING_UP, HELD_BACK, NOT_KNOWN}
    assert seen["refused"] == {NO_STREAM}


@pytest.mark.parametrize("step", [5, 15, 60])
def test_every_mark_is_seen_at_every_step(scene: Scene, step: int) -> None:
    """By the query that the rules' comment names: Grafana's step, which is $__interval, may be any."""
    if not all(scene.marks("client")):  # none of the tests before it has run
        scene.server.stop(signal.SIGKILL)
        scene.start_server()
    until_blocking(lambda: all(scene.marks("client")), what="a client whose stream was opened and has ended")
    end = scene.now() // step * step
    for mark, marked in zip(MARKS, scene.marks("client"), strict=True):
        shown = scene.prometheus.get(
            "query_range",
            query=f'max_over_time({mark}{{client="client"}}[{step}s])',
            start=end - 600 // step * step,
            end=end,
            step=step,
        )["result"]
        values = {float(value) for each in shown for _, value in each["values"]}
        last_of_each_step = {-(-at // step): at for at in sorted(marked) if at <= end}
        assert values == set(last_of_each_step.values())
        assert values or max(marked) > end
