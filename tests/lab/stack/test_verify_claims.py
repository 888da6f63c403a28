from __future__ import annotations

from typing import Any

import pytest

from lab.stack.expectations import judge_fast, judge_slow, offered_per_second, slow_readiness
from lab.stack.observed import Observed

SECONDS = 60
STEADY = {
    "state": 1.0, "streams": 7.0, "in_flight": 0.0, "in_flight_bytes": 0.0, "window_bytes": 65_535.0,
    "wire_bytes": 104.0, "ceiling": 630.0, "bound": 947.0, "bound_bytes": 98_510.0, "sent_per_second": 10.0,
    "ping_seconds": 10.0, "missed": 0.0, "produced_unaccounted": 0.0, "received_unaccounted": 0.0,
}  # fmt: skip


def observed(seconds: int = 2 * SECONDS, **per_second: float) -> dict[str, dict[float, float]]:
    """Return what is recorded each second of a client whose counts grow so much in a second."""
    times = [float(second) for second in range(seconds + 1)]
    counts = {figure: {at: at * rate for at in times} for figure, rate in per_second.items()}
    return {figure: dict.fromkeys(times, value) for figure, value in STEADY.items()} | counts


def fast() -> dict[str, Any]:
    return observed(sent=10, processed=10, blocked_seconds=0.01)


def slow() -> dict[str, Any]:
    figures = observed(sent=0.5, processed=0.5, blocked_seconds=0.97)
    everywhere = {"state": 2.0, "in_flight": 631.0, "in_flight_bytes": 65_535.0}
    return figures | {figure: dict.fromkeys(figures["state"], value) for figure, value in everywhere.items()}


def client(figures: dict[str, Any]) -> Observed:
    seen = Observed.of("client", figures)
    assert seen is not None
    return seen


def failing(judge: Any, figures: dict[str, Any]) -> list[str]:
    verdict = judge(client(figures), SECONDS, 10)
    failed = [claim.claim for claim in verdict.claims if not claim.passed]
    assert verdict.passed == (not failed)
    return failed


def test_a_fast_and_a_slow_client_as_they_should_be_pass():
    assert failing(judge_fast, fast()) == failing(judge_slow, slow()) == []


LATE = 2.0 * SECONDS - 5


@pytest.mark.parametrize(
    ("figure", "changed", "claim"),
    [
        ("in_flight", {LATE: 200.0}, "in flight, at any time"),
        ("processed", {LATE: 0.0, LATE + 5: 700.0}, "processed while 600 were sent"),
        ("blocked_seconds", {2.0 * SECONDS: 40.0}, "share of time that writes are blocked"),
        ("missed", {LATE: 0.2}, "updates missed"),
        ("missed", None, "updates missed"),
        ("received_unaccounted", dict.fromkeys(range(121), 40.0), "received, and never sent"),
        ("produced_unaccounted", dict.fromkeys(range(121), -1.0), "produced, and neither sent, dropped nor waiting"),
        ("produced_unaccounted", None, "produced, and neither sent, dropped nor waiting"),
    ],
)
def test_a_fast_client_that_is_not_as_it_should_be_fails(figure: str, changed: Any, claim: str):
    assert failing(judge_fast, _change(fast(), figure, changed)) == [claim]


@pytest.mark.parametrize(
    ("figure", "changed", "claim"),
    [
        ("in_flight_bytes", {LATE: 98_511.0}, "in flight, at any time"),
        ("bound_bytes", None, "in flight, at any time"),  # the window is autotuned
        ("sent", {2.0 * SECONDS: 90.0}, "sent while 30 were processed, of 600"),
        ("blocked_seconds", {2.0 * SECONDS: 60.0}, "share of time that writes are blocked"),
        ("missed", {LATE: 1.0}, "updates missed"),
        ("received_unaccounted", dict.fromkeys(range(121), 40.0), "received, and never sent"),
    ],
)
def test_a_slow_client_that_is_not_as_it_should_be_fails(figure: str, changed: Any, claim: str):
    assert claim in failing(judge_slow, _change(slow(), figure, changed))


@pytest.mark.parametrize("pings", [None, dict.fromkeys(range(121), 86_400.0)], ids=["not known", "none"])
def test_without_pings_a_slow_client_is_allowed_half_a_window(pings: Any):
    a_step_more = _change(slow(), "sent", {2.0 * SECONDS: 360.0})
    assert failing(judge_slow, _change(a_step_more, "ping_seconds", pings)) == []


def test_a_slow_client_that_was_never_held_back_fails():
    assert "seconds held back" in failing(judge_slow, _change(slow(), "state", dict.fromkeys(range(121), 1.0)))


def test_books_that_differ_for_a_moment_balance():
    assert failing(judge_fast, _change(fast(), "produced_unaccounted", {LATE: 1.0, LATE + 5: 1.0})) == []


def test_a_client_is_seen_from_its_newest_stream_on():
    figures = _change(slow(), "streams", dict.fromkeys(range(90, 121), 8.0))
    assert client(figures).span_seconds == 30


def test_a_scrape_that_failed_does_not_end_the_stream():
    figures = slow()
    for figure in ("streams", "in_flight"):
        del figures[figure][50.0]
    assert client(figures).span_seconds == 120


@pytest.mark.parametrize(("figure", "value"), [("in_flight", None), ("state", 0.0)])
def test_a_client_that_is_gone_is_not_seen(figure: str, value: Any):
    changed = None if value is None else {2.0 * SECONDS: value}
    assert Observed.of("client", _change(fast(), figure, changed)) is None


def test_it_says_what_it_waits_for():
    filling = client(_change(slow(), "state", dict.fromkeys(range(121), 1.0)))
    assert slow_readiness(filling, SECONDS).why == "client: its window fills, 631 of 630 updates"
    assert slow_readiness(client(slow()), 2 * SECONDS + 1).done < 1 == slow_readiness(client(slow()), SECONDS).done


def test_what_the_server_offers_is_what_the_fastest_client_was_sent():
    calm = client(_change(slow(), "sent_per_second", dict.fromkeys(range(121), 0.5)))
    assert offered_per_second([calm, client(fast())]) == 10
    assert offered_per_second([client(_change(slow(), "sent_per_second", None))]) == 0


def _change(figures: dict[str, Any], figure: str, changed: dict[float, float] | None) -> dict[str, Any]:
    return figures | {figure: {} if changed is None else figures[figure] | changed}
