"""Every query of the dashboards, asked of a real Prometheus that has watched a fast and a slow client."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from observed import queries
from processes import running_services
from prometheus_tools import EVERY_SECOND, Prometheus, command, running_prometheus, write_rules, write_targets
from tiles import asked, filled_in
from waiting import until_blocking

pytestmark = pytest.mark.timeout(120)  # whichever test comes first also waits for the programs to start

WITHIN_SECONDS = 35.0
"""Until everything has been seen: the clients held back, scraped twice, recorded and judged."""


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Watch a server with a fast and a slow client, both opened while Prometheus looks on, and one that goes away."""
    folder = tmp_path_factory.mktemp("prometheus")
    command("prometheus")  # skips before anything has started
    write_rules(folder)

    with running_services(folder) as services, running_prometheus(folder, EVERY_SECOND.format(folder=folder)) as seen:
        server = services.server("--update-interval-seconds", "0.02", "--held-back-share", "0.4")
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


def test_every_query_is_understood_and_every_panel_shows_something(prometheus: Prometheus) -> None:
    """Some have nothing to say in this scene: who is stopped, how many more there are than there is room for."""
    all_queries = list(queries())
    panels = {(query.dashboard, query.panel) for query in all_queries if query.panel != "annotation"}
    assert len(panels) > 25

    def empty() -> set[tuple[str, str]]:
        series = {query: asked(prometheus, query.expr, instant=query.instant) for query in all_queries}
        return panels - {(query.dashboard, query.panel) for query in all_queries if series[query]}

    until_blocking(
        empty, lambda found: not found, within_seconds=WITHIN_SECONDS, every_seconds=0.5, what="series for all panels"
    )


@pytest.mark.parametrize("mark", ["stream opened", "stream ended"])
def test_marks_stand_where_something_happened(prometheus: Prometheus, mark: str) -> None:
    """Whatever the step: no mark lasts longer than an evaluation, and Grafana asks at multiples of the step alone."""
    (query,) = (query for query in queries() if query.ref == mark)

    def last_moments(step: int) -> dict[str, float]:
        now = time.time()
        span = {"start": (now - 120) // step * step, "end": now // step * step, "step": step}
        expr = filled_in(query.expr.replace("$__interval", f"{step}s"))
        series = prometheus.get("query_range", query=expr, **span)["result"]
        return {each["metric"]["client"]: float(each["values"][-1][1]) for each in series}

    seen = until_blocking(lambda: last_moments(1), within_seconds=WITHIN_SECONDS, every_seconds=0.5, what=mark)
    assert all(time.time() - 120 < moment / 1000 <= time.time() for moment in seen.values())
    assert [last_moments(step) for step in (7, 100, 3600)] == [seen] * 3


def test_lines_have_the_colour_of_what_their_client_is_now(prometheus: Prometheus) -> None:
    """Each client is drawn by one query, whatever it was before."""
    of_panel = [query for query in queries() if query.panel == "Processed per second, by client"]

    def drawn() -> dict[str, list[str]]:
        by_client: dict[str, list[str]] = {}
        for query in of_panel:
            for labels, _ in asked(prometheus, query.expr, instant=False):
                by_client.setdefault(labels["client"], []).append(query.ref)
        return by_client

    until_blocking(
        drawn,
        lambda by_client: (by_client.get("client"), by_client.get("slow-client")) == (["N0"], ["N3"]),
        within_seconds=WITHIN_SECONDS,
        every_seconds=0.5,
    )


def test_the_headline_is_about_the_slow_client(prometheus: Prometheus) -> None:
    of_panel = [query for query in queries() if query.panel.startswith("Stock updates sent x")]

    def last() -> list[tuple[str, float]]:
        series = [asked(prometheus, query.expr, instant=False) for query in of_panel]
        return [(labels.get("client", ""), values[-1]) for each in series for labels, values in each]

    (_, sent), (_, processed), (_, ceiling) = until_blocking(
        last,
        lambda found: [client for client, _ in found] == ["slow-client"] * 3,
        within_seconds=WITHIN_SECONDS,
        every_seconds=0.5,
    )
    assert processed < sent < 2 * ceiling


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
