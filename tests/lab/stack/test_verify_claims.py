from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from lab.stack.expectations import FAST, SLOW, judge_fast, judge_slow, offered_per_second, slow_readiness
from lab.stack.observed import Observed, named
from lab.stack.states import State
from lab.stack.verify import judge

SECONDS = 60
STEADY = {
    "state": 1.0, "streams": 7.0, "in_flight": 0.0, "in_flight_bytes": 0.0, "window_bytes": 65_535.0,
    "wire_bytes": 104.0, "ceiling": 630.0, "bound": 947.0, "bound_bytes": 98_510.0, "sent_per_second": 10.0,
    "ping_seconds": 10.0, "missed": 0.0, "produced_unaccounted": 0.0, "received_unaccounted": 0.0,
}  # fmt: skip


def observed(seconds: int = 2 * SECONDS, **per_second: float) -> dict[str, dict[float, float]]:
    """Return what is recorded each second of a client whose counts grow so much in a second."""
    times = [float(second) for second in range(seconds + 1)]
    counts = {figure: {at: at * rate for at in times} for figure, rate in (per_second | {"blocked_at": 1}).items()}
    return {figure: dict.fromkeys(times, value) for figure, value in STEADY.items()} | counts


def fast() -> dict[str, Any]:
    return observed(sent=10, processed=10, blocked_seconds=0.01)


def slow() -> dict[str, Any]:
    figures = observed(sent=0.5, processed=0.5, blocked_seconds=0.97)
    everywhere = {"state": 2.0, "in_flight": 631.0, "in_flight_bytes": 65_535.0}
    return figures | {figure: dict.fromkeys(figures["state"], value) for figure, value in everywhere.items()}


def client(figures: dict[str, Any], now: float = 2.0 * SECONDS) -> Observed:
    return Observed.of("client", figures, now)


def failing(judge: Any, figures: dict[str, Any]) -> list[str]:
    verdict = judge(client(figures), SECONDS, 10)
    failed = [claim.claim for claim in verdict.claims if not claim.passed]
    assert verdict.passed == (not failed)
    return failed


def test_a_fast_and_a_slow_client_as_they_should_be_pass():
    assert failing(judge_fast, fast()) == failing(judge_slow, slow()) == []


def test_what_is_not_known_is_no_zero():
    """Of a server that numbers nothing, nobody knows whether an update was missed."""
    figures = fast() | {"missed": {}}
    assert failing(judge_fast, figures) == ["updates missed"]
    verdict = judge_fast(client(figures), SECONDS, 10)
    assert (verdict.missed, verdict.in_flight_max) == (None, 0)
    assert [claim.measured for claim in verdict.claims if not claim.passed] == ["no data"]


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


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (0.0, "gone: "),
        (4.0, "working off an ended stream: "),
        (5.0, "without a stream: "),
        (6.0, "not known: "),
        (7.0, "not known: "),  # of rules that are newer than this program
    ],
)
def test_a_client_without_an_open_stream_is_what_it_is_and_fails(code: float, words: str):
    seen = client(_change(slow(), "state", {2.0 * SECONDS: code}))
    verdict = judge([seen], {"client": SLOW}, SECONDS)
    assert not seen.is_comparable
    assert not verdict.passed
    ((claim,),) = [act.claims for act in verdict.acts]
    assert claim.claim.startswith(f"has an open stream: {words}")
    assert verdict.window_bytes == 65_535


def test_a_client_of_which_both_ends_do_not_mean_the_same_stream_fails():
    figures = fast()
    del figures["in_flight"][2.0 * SECONDS]
    seen = client(figures)
    assert "both ends do not mean the same streams" in seen.words
    assert not judge([seen], {"client": FAST}, SECONDS).passed


def test_what_was_recorded_a_while_ago_is_not_how_it_is():
    """Both ends, or Prometheus' rules, have told nothing for ten seconds: it kept up, and now nobody knows."""
    seen = client(fast(), now=2.0 * SECONDS + 10)
    assert seen.state is State.NOT_KNOWN
    assert not judge([seen], {"client": FAST}, SECONDS).passed


def test_a_replica_that_has_gone_counts_only_where_none_is_left():
    gone = replace(client(fast()), name="client-1", state=State.GONE)
    here = replace(client(fast()), name="client-2")
    assert named([gone, here], "client") == [here]
    assert named([gone], "client") == [gone]


def test_held_back_ends_where_it_kept_up_and_not_where_nothing_is_known():
    freed = _change(slow(), "state", dict.fromkeys(range(50, 80), 1.0))
    held = client(freed).since_held_back()
    assert held is not None
    assert held.span_seconds == 2 * SECONDS - 80
    unknown = client(_change(slow(), "state", dict.fromkeys(range(50, 80), 6.0))).since_held_back()
    assert unknown is not None
    assert unknown.span_seconds == 2 * SECONDS
    free_now = client(_change(slow(), "state", dict.fromkeys(range(110, 121), 1.0)))
    assert free_now.since_held_back() is None


def test_a_figure_grows_from_when_it_is_first_known():
    figures = fast()
    del figures["sent"][0.0]
    assert client(figures).grown("sent") == 10 * (2 * SECONDS - 1)
    del figures["sent"][2.0 * SECONDS]
    assert math.isnan(client(figures).grown("sent"))


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
