"""A slow reader's staircase, measured: how many updates the server sends at once, with pings of either end and without.

It is what `lab.slow_reader` says, on which predictions, demos and verdicts stand.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import pytest

from flowcontrol import Window
from lab.predict.prediction import Scenario, predict
from stockfeed.source import StockSource

from processes import Service, running_services
from waiting import until_blocking

WINDOW_BYTES = 16_384
PADDING_BYTES = 100
UPDATES_PER_SECOND = 200.0
PROCESSING_SECONDS = 0.1
EVERY_TWO_SECONDS, SELDOM, NEVER = 2, 10, 86_400
STEPS = 3
STAND_SECONDS = 0.5
"""A step is over once nothing more has been sent for so long; it takes a fifth of that."""
WITHIN = 0.3
"""Of a step: a busy machine reads more slowly than told."""


@dataclass(frozen=True)
class Look:
    """What has been sent and received at one moment."""

    at_seconds: float
    sent: int
    received: int


@dataclass(frozen=True)
class Staircase:
    """A slow reader, seen again and again."""

    server_pings: int
    client_pings: int
    looks: list[Look]

    @property
    def stands(self) -> list[Look]:
        """The looks that have seen nothing more for some time."""
        grown_at, sent, stands = 0.0, 0, []
        for look in self.looks:
            if look.sent > sent:
                grown_at, sent = look.at_seconds, look.sent
            elif sent and look.at_seconds - grown_at >= STAND_SECONDS:
                stands.append(look)
        return stands

    @property
    def steps(self) -> list[int]:
        """How much was sent at once; what filled the window does not count."""
        return [after - before for before, after in pairwise(sorted({look.sent for look in self.stands}))]

    @property
    def scenario(self) -> Scenario:
        """What `lab predict` is asked."""
        update_bytes = StockSource(padding_bytes=PADDING_BYTES, seed=1).next().ByteSize()
        window, keepalive = Window(WINDOW_BYTES), min(self.server_pings, self.client_pings)
        return Scenario(update_bytes, UPDATES_PER_SECOND, PROCESSING_SECONDS, window, keepalive_time_seconds=keepalive)


def look_at(server: Service, client: Service) -> Look:
    """Return how it stands; the client is asked first, so that in flight is never too low."""
    received = client.metric("flowcontrol_client_received_messages_total")
    return Look(time.monotonic(), int(server.metric("flowcontrol_server_sent_messages_total")), int(received))


@pytest.fixture(
    scope="module",
    params=[(EVERY_TWO_SECONDS, SELDOM), (SELDOM, EVERY_TWO_SECONDS), (NEVER, NEVER)],
    ids=["server", "client", "nobody"],
)
def measured(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Staircase]:
    server_pings, client_pings = request.param
    staircase = Staircase(server_pings, client_pings, [])
    pace = ("--update-interval-seconds", str(1 / UPDATES_PER_SECOND), "--padding-bytes", str(PADDING_BYTES))
    slow = ("--processing", str(PROCESSING_SECONDS), "--window-bytes", str(WINDOW_BYTES), "--no-log-updates")
    with running_services(tmp_path_factory.mktemp("staircase")) as services:
        server = services.server(*pace, "--keepalive-time-seconds", str(server_pings))
        client = services.client(server.address, *slow, "--keepalive-time-seconds", str(client_pings))

        def steps() -> list[int]:
            staircase.looks.append(look_at(server, client))
            return staircase.steps

        until_blocking(steps, lambda seen: len(seen) >= STEPS, within_seconds=50, every_seconds=0.05, what="steps")
        yield staircase


def test_it_gives_back_what_it_has_read_with_each_ping_or_by_halves(measured: Staircase):
    reader = measured.scenario.reader
    expected = reader.ceiling / 2 if measured.server_pings == NEVER else 20
    assert reader.step == expected
    assert statistics.median(measured.steps) == pytest.approx(expected, rel=WITHIN), measured.steps


def test_what_is_in_flight_stays_where_it_was_predicted(measured: Staircase):
    prediction = predict(measured.scenario)
    in_flight = [look.sent - look.received for look in measured.stands]
    assert min(in_flight) >= prediction.in_flight_least_updates - WITHIN * measured.scenario.reader.step
    assert max(in_flight) <= prediction.in_flight_most_at_first_updates
