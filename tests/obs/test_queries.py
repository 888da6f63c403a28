"""Every query of the dashboards, asked of a real Prometheus that has watched a fast and a slow client."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import Any

import pytest

from observed import Query, queries
from processes import running_services
from prometheus_tools import EVERY_SECOND, Prometheus, command, running_prometheus, write_rules, write_targets
from waiting import until_blocking

pytestmark = pytest.mark.timeout(120)  # whichever test comes first also waits for the programs to start

WITHIN_SECONDS = 35.0
"""Until everything has been seen: the clients held back, scraped twice, recorded and judged."""

MAY_BE_EMPTY = {"backpressure: Held back now: B", "backpressure: Held back now: C"}
"""How many more are held back than there is room for, and that none is."""


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Watch a server with a fast and a slow client, both opened while Prometheus looks on, and one that goes away."""
    folder = tmp_path_factory.mktemp("prometheus")
    command("prometheus")  # skips before anything has started
    write_rules(folder)

    with running_services(folder) as services, running_prometheus(folder, EVERY_SECOND.format(folder=folder)) as seen:
        server = services.server("--update-interval-seconds", "0.01", "--held-back-share", "0.1")
        write_targets(folder, "server", server.metrics_port)
        until_blocking(lambda: seen.query('up{job="server"} offset 2s'), within_seconds=20, every_seconds=0.2)
        window = ("--window-bytes", "16384")
        fast = services.client(server.address, name="client")
        slow = services.client(server.address, *window, "--processing", "0.5", name="slow-client")
        brief = services.client(server.address, *window, name="brief-client")
        write_targets(folder, "client", fast.metrics_port, slow.metrics_port, brief.metrics_port)
        until_blocking(
            lambda: seen.by_client("client:flowcontrol_in_flight_messages:sum"),
            lambda by_client: len(by_client) == 3,
            within_seconds=15,
            every_seconds=0.2,
        )
        brief.stop()
        yield seen


def ask(prometheus: Prometheus, query: Query) -> list[Any]:
    """Return the series that Grafana would get, of the last minute and of all clients."""
    expr = query.expr.replace("$client", ".+").replace("$__range", "60s")
    if query.instant:
        series = prometheus.get("query", query=expr)["result"]
        values = [each["value"] for each in series]
    else:
        now = time.time()
        series = prometheus.get("query_range", query=expr, start=now - 60, end=now, step=1)["result"]
        values = [value for each in series for value in each["values"]]
    return [value for _, value in values if math.isfinite(float(value))]


def test_every_query_returns_what_there_is_to_see(prometheus: Prometheus) -> None:
    all_queries = [query for query in queries() if str(query) not in MAY_BE_EMPTY]
    assert len(all_queries) > 40

    def without_series() -> list[str]:
        return [f"{query}: {query.expr}" for query in all_queries if not ask(prometheus, query)]

    until_blocking(
        without_series, lambda empty: not empty, within_seconds=WITHIN_SECONDS, every_seconds=0.5, what="series for all"
    )


def test_the_answers_name_the_slow_client_and_it_alone(prometheus: Prometheus) -> None:
    (held_back,) = (query for query in queries() if str(query) == "backpressure: Held back now: A")
    expr = held_back.expr.replace("$client", ".+")
    until_blocking(
        lambda: prometheus.by_client(expr),
        lambda by_client: by_client == {"slow-client": 2},
        within_seconds=WITHIN_SECONDS,
        every_seconds=0.5,
    )


@pytest.mark.parametrize(
    ("expr", "fast", "slow"),
    [
        ("client:flowcontrol_state:code", 1, 2),
        ("client:flowcontrol_ceiling_use:ratio", pytest.approx(0, abs=0.4), pytest.approx(1, abs=0.5)),
        ("client:flowcontrol_blocked:ratio_rate1m", pytest.approx(0, abs=0.2), pytest.approx(0.6, abs=0.4)),
        ("client:stock_books_produced:unaccounted", 0, 0),
        ("client:stock_books_received:unaccounted", 0, 0),
        ("sum by (client) (stock_client_missed_updates_total)", 0, 0),
    ],
)
def test_a_fast_and_a_slow_client_look_as_they_should(prometheus: Prometheus, expr: str, fast: Any, slow: Any) -> None:
    until_blocking(
        lambda: prometheus.by_client(expr),
        lambda by_client: (by_client.get("client"), by_client.get("slow-client")) == (fast, slow),
        within_seconds=WITHIN_SECONDS,
        every_seconds=0.5,
        what=f"{fast} and {slow}",
    )


def test_a_client_that_went_away_is_gone_and_its_stream_marked(prometheus: Prometheus) -> None:
    assert prometheus.by_client("client:flowcontrol_state:code")["brief-client"] == 0
    opened = 'max_over_time(client:flowcontrol_stream_opened:change5s{client="brief-client"}[2m])'
    ended = 'max_over_time(client:flowcontrol_stream_ended:change5s{client="brief-client"}[2m])'
    assert prometheus.query(opened)
    assert prometheus.query(ended)
