"""Each claim of the demo holds for figures that support it, and fails for figures that do not."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from flowcontrol import Window
from flowcontrol.window import AUTOTUNED_ENDS_AT_BYTES
from lab.demo.acts import SLOW_SECONDS, Checks, program, since_held
from lab.demo.play import judge
from lab.processes.samples import Sample
from lab.verdict import Verdict

FRAME = 104
CHECKS = Checks(Window(65_535), FRAME - 5)
CEILING = 65_535 // FRAME

START = Sample(
    at_seconds=0.0,
    sent=0,
    sent_bytes=0,
    received=0,
    received_bytes=0,
    processed=0,
    missed=0,
    repeated=0,
    dropped_seen=0,
    reconnects=0,
    working_age_seconds=0.0,
    produced=0,
    dropped=0,
    waiting=0,
    blocked_seconds=0.0,
    blocked_now_seconds=0.0,
    server_memory_bytes=60_000_000,
)


def at(seconds: float, sent: int, received: int, **figures: float) -> Sample:
    return replace(
        START,
        at_seconds=seconds,
        sent=sent,
        sent_bytes=sent * FRAME,
        received=received,
        received_bytes=received * FRAME,
        processed=received,
        **figures,
    )


def failing(claims) -> list[str]:
    return [claim.claim for claim in claims if not claim.passed]


FAST = [at(second, 500 * second, 500 * second - 3) for second in range(6)]
STOPPED = [START, at(3, CEILING, 0, blocked_now_seconds=1.6)]
SLOW = [
    START,
    *(
        at(second, CEILING + 20 * second, 20 * second, blocked_seconds=second - 0.5, blocked_now_seconds=1.0)
        for second in range(1, round(SLOW_SECONDS))
    ),
]
RECOVERY = [at(0, 1_000, 400), at(3, 3_000, 2_999)]
UNBOUNDED = [START, *(at(second, 500 * second, 20 * second) for second in range(1, 12))]


def test_figures_of_real_backpressure_support_every_claim():
    claims = [
        *CHECKS.fast(FAST),
        *CHECKS.stopped(STOPPED),
        *CHECKS.slow(SLOW),
        *CHECKS.recovery(RECOVERY),
        *CHECKS.unbounded(UNBOUNDED),
    ]
    assert failing(claims) == []


@pytest.mark.parametrize(
    ("check", "samples", "claim"),
    [
        (CHECKS.fast, [*FAST, at(6, 3_000, 2_900)], "in flight, at any time"),
        (CHECKS.fast, [*FAST, replace(FAST[-1], at_seconds=60.0)], "updates a second"),
        (CHECKS.fast, [*FAST[:-1], replace(FAST[-1], missed=1)], "updates missed"),
        (CHECKS.stopped, [START, at(3, CEILING + 1, 0, blocked_now_seconds=1.6)], "bytes sent"),
        (CHECKS.stopped, [START, at(3, CEILING - 1, 0, blocked_now_seconds=1.6)], "bytes sent"),
        (CHECKS.stopped, [START, at(3, CEILING, 1, blocked_now_seconds=1.6)], "updates read"),
        (CHECKS.stopped, [START, at(3, CEILING, 0)], "last write waits"),
        (CHECKS.slow, [*SLOW, at(20, 5_000, 400, blocked_seconds=19)], "in flight, at any time"),
        (CHECKS.slow, [*SLOW, at(20, 2_000, 400, blocked_seconds=19)], "sent while"),
        (CHECKS.slow, [*SLOW, replace(SLOW[-1], at_seconds=20.0, blocked_seconds=9.0)], "share of time"),
        (CHECKS.slow, [*SLOW, replace(SLOW[-1], server_memory_bytes=80_000_000)], "memory"),
        (CHECKS.recovery, [RECOVERY[0], at(3, 3_000, 2_900)], "in flight, at the end"),
        (CHECKS.recovery, [RECOVERY[0], replace(RECOVERY[1], missed=2)], "updates missed"),
        (CHECKS.recovery, [RECOVERY[0], replace(RECOVERY[1], repeated=2)], "twice or out of order"),
        (CHECKS.unbounded, [START, *(at(second, CEILING, 0) for second in range(1, 12))], "passes the bound"),
        (CHECKS.unbounded, [START, *(at(second, 5_000, 0) for second in range(1, 12))], "still grows"),
    ],
)
def test_figures_of_anything_else_do_not(check, samples, claim):
    assert any(claim in failed for failed in failing(check(samples)))


def test_a_window_beyond_grpcs_own_tuning_is_compared_the_other_way_round():
    checks = Checks(Window(64 * 2**20), FRAME - 5)
    assert failing(checks.unbounded([START, at(9, AUTOTUNED_ENDS_AT_BYTES // FRAME, 0)])) == []


def test_held_back_begins_when_a_write_has_been_blocked_for_long():
    assert since_held(SLOW)[0].at_seconds == 1
    assert len(since_held(FAST)) == 2


def test_the_program_has_the_five_acts_in_order():
    acts = [act.name for cast in program(Window(), 99) for act in cast.acts]
    assert acts == ["fast", "stopped", "slow", "recovery", "unbounded"]


def test_the_verdict_is_written_in_its_documented_form(tmp_path):
    act = judge("fast", FAST, CHECKS.fast(FAST), 65_520)
    Verdict(True, 65_535, [act]).write_json(tmp_path / "out" / "verdict.json")
    written = json.loads((tmp_path / "out" / "verdict.json").read_text())
    assert list(written) == ["passed", "window_bytes", "acts"]
    assert list(written["acts"][0]) == [
        "name",
        "passed",
        "sent",
        "received",
        "missed",
        "in_flight_max",
        "in_flight_bytes_max",
        "ceiling_bytes",
        "claims",
    ]
    assert list(written["acts"][0]["claims"][0]) == ["claim", "measured", "expected", "passed"]
    assert written["acts"][0]["in_flight_bytes_max"] == 3 * FRAME
