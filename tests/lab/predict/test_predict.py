"""What `lab predict` says, against the arithmetic that it stands on and against measured runs of the real services."""

from __future__ import annotations

import json
import math
import statistics
from dataclasses import replace

import pytest

from flowcontrol import Window, wire_bytes
from lab.predict import command
from lab.predict.prediction import Scenario, predict
from lab.predict.slow_run import Processed, pace_seconds, processed_in
from stock_server.streams.policy import Policy
from stockfeed.source import StockSource

from processes import Services
from waiting import until_blocking

PADDING_BYTES = 900
UPDATES_PER_SECOND = 200.0
PROCESSING_SECONDS = 0.02
WINDOW_BYTES = 65_535
BUFFER_UPDATES = 40
LOG_UPDATES = {policy: BUFFER_UPDATES if policy is Policy.REPLAY else 100_000 for policy in Policy}
"""A stream that replays comes to the end of so short a log soon, and its age then settles."""
TOLERANCE = 0.25
"""Of an age or a rate: the machine may be busy, and each part of the chain then adds its own."""
STEADY = 1.25
"""A client that takes more than so many times what it is told, as on a busy machine, is not the steady reader that
the middle is of; the range is of any."""


def scenario(policy: Policy, processing_seconds: float = PROCESSING_SECONDS) -> Scenario:
    message_bytes = StockSource(padding_bytes=PADDING_BYTES, seed=1).next().ByteSize()
    return Scenario(
        message_bytes,
        UPDATES_PER_SECOND,
        processing_seconds,
        Window(WINDOW_BYTES),
        policy,
        BUFFER_UPDATES,
        disconnect_after_seconds=3600,
        keep_updates=LOG_UPDATES[policy],
    )


def processed_during(updates: list[Processed], life: Processed) -> int:
    """Return how many updates were processed during an update's life: its age in updates, however busy the machine."""
    return sum(life.at_seconds - life.age_seconds < update.at_seconds <= life.at_seconds for update in updates)


@pytest.mark.parametrize("policy", list(Policy))
def test_a_measured_run_comes_to_what_was_predicted(services: Services, tmp_path, policy: Policy):
    server = services.server(
        *("--update-interval-seconds", str(1 / UPDATES_PER_SECOND), "--padding-bytes", str(PADDING_BYTES)),
        *("--policy", policy, "--buffer-updates", str(BUFFER_UPDATES), "--disconnect-after-seconds", "3600"),
        *("--keep-updates", str(LOG_UPDATES[policy])),
    )
    client = services.client(
        server.address, "--processing", str(PROCESSING_SECONDS), "--window-bytes", str(WINDOW_BYTES)
    )
    log_path = tmp_path / "1-stock_client" / "log.jsonl"

    def settles_after(updates: list[Processed]) -> float:
        # a busy machine makes the client slower than told, which is no fault of the arithmetic
        settles = predict(scenario(policy, pace_seconds(updates))).age_settles_after_seconds
        assert settles is not None
        return 1.2 * settles

    updates = until_blocking(
        lambda: processed_in(log_path),
        lambda updates: len(updates) > 1 and updates[-1].at_seconds > settles_after(updates) + 3.5,
        every_seconds=0.5, what="a run past the plateau",
    )  # fmt: skip
    produced = server.metric("flowcontrol_server_produced_messages_total")
    dropped = server.metric("flowcontrol_server_dropped_messages_total")
    received = client.metric("flowcontrol_client_open_streams_received_messages")
    in_flight = server.metric("flowcontrol_server_open_streams_sent_messages") - received

    pace = pace_seconds(updates)
    predicted = predict(scenario(policy, pace))
    settled = [update for update in updates if update.at_seconds > settles_after(updates)]
    # mostly the window is full at most: what is beyond it comes now and then
    full = predicted.age_seconds / pace - (predicted.in_flight_most_updates - predicted.ceiling_updates)
    waited_for = [processed_during(updates, update) for update in settled]
    least, most = predicted.age_least_seconds / pace, predicted.age_seconds / pace
    assert least * (1 - TOLERANCE) <= statistics.median(waited_for) <= most * (1 + TOLERANCE)
    if pace <= STEADY * PROCESSING_SECONDS:
        assert statistics.median(waited_for) == pytest.approx((least + full) / 2, rel=TOLERANCE)
    assert max(waited_for) <= predicted.age_bound_seconds / pace * (1 + TOLERANCE)
    assert predicted.in_flight_least_updates - 3 <= in_flight <= predicted.bound_updates
    if policy is Policy.PAUSE:
        assert dropped == 0
        return
    elapsed = produced / UPDATES_PER_SECOND
    filling = predicted.held_back_after_seconds
    assert dropped == pytest.approx(predicted.dropped_per_second * (elapsed - filling), rel=TOLERANCE)


def test_the_plateau_is_that_of_the_window():
    predicted = predict(Scenario(95, 10, 2.0, Window(65_535)))
    assert predicted.ceiling_updates == 65_535 // wire_bytes(95) == 655
    assert predicted.bound_updates == Window(65_535).bound_messages(95)
    assert predicted.held_back_after_seconds == pytest.approx(655 / 9.5)
    assert (predicted.dropped_per_second, predicted.unmade_per_second) == (0, 9.5)
    assert (predicted.in_flight_least_updates, predicted.in_flight_most_updates) == (655 - 5, 655 + 5 + 2)
    assert predicted.in_flight_most_at_first_updates == 655 + 20 + 2
    assert predicted.age_seconds == pytest.approx((655 + 5 + 2 + 1) * 2.0)
    assert predicted.lag_growth == pytest.approx(0.95)


def test_a_client_that_keeps_up_is_never_held_back():
    for processing in (0.0, 0.1):
        predicted = predict(Scenario(95, 10, processing, Window(65_535), Policy.CONFLATE))
        assert not predicted.held_back
        assert predicted.held_back_after_seconds is None
        assert predicted.dropped_per_second == 0
        assert predicted.age_seconds == processing


def test_policies_that_keep_less_have_fresher_data():
    ages = {policy: predict(Scenario(95, 100, 0.1, Window(16_384), policy)).age_seconds for policy in Policy}
    assert ages[Policy.CONFLATE] - ages[Policy.PAUSE] == pytest.approx(0.01 + 0.1), "an interval, and one that waits"
    beyond = 81 - 10  # of the buffer, half a window can come at once; of a source that waits, what is made meanwhile
    assert ages[Policy.DROP_OLDEST] - ages[Policy.PAUSE] == pytest.approx(2.56 + beyond * 0.1), "256 at 100 a second"


def test_a_reader_is_disconnected_unless_its_window_empties_half_of_the_buffer_in_time():
    small_window = predict(Scenario(95, 100, 0.05, Window(16_384), Policy.DISCONNECT))
    assert small_window.disconnected_after_seconds == pytest.approx(163 / 80 + 2.56 + 5)
    large = Scenario(95, 100, 0.02, Window(65_535), Policy.DISCONNECT, disconnect_after_seconds=10)
    assert predict(large).disconnected_after_seconds is None, "327 updates leave it at once, every 11.8 s at most"
    impatient = predict(replace(large, disconnect_after_seconds=5))
    assert impatient.disconnected_after_seconds == pytest.approx(655 / 50 + 2.56 + 5)


def test_pings_give_a_slow_reader_more_often_less():
    with_pings = Scenario(95, 100, 2.0, Window(65_535), Policy.DISCONNECT, disconnect_after_seconds=3600)
    without = replace(with_pings, keepalive_time_seconds=math.inf)
    assert predict(without).in_flight_least_updates == 328
    assert predict(without).disconnected_after_seconds is None, "half of the buffer leaves it every 20 minutes"
    assert predict(with_pings).in_flight_least_updates == 650
    assert predict(with_pings).disconnected_after_seconds is not None, "5 updates are no half of a buffer"


def test_a_log_reaches_back_for_what_it_keeps_and_a_slow_stream_falls_out_of_it():
    replaying = Scenario(95, 10, 0.2, Window(65_535), Policy.REPLAY, keep_updates=3_000)
    predicted = predict(replaying)
    assert predicted.log_reaches_back_seconds == 300
    assert predicted.falls_out_after_seconds == pytest.approx(655 / 5 + 3_000 / 5)
    assert predicted.lag_growth == pytest.approx(0.5)
    assert predict(replace(replaying, keep_bytes=95 * 100)).log_reaches_back_seconds == 10
    assert predict(replace(replaying, processing_seconds=0.1)).falls_out_after_seconds is None
    assert predict(replace(replaying, policy=Policy.DROP_OLDEST)).falls_out_after_seconds is None


def test_memory_grows_with_streams_and_not_with_the_window():
    one, thousand = (predict(Scenario(95, 100, 1.0, Window(16_384), streams=n)) for n in (1, 1_000))
    assert thousand.memory_bytes == 1_000 * one.memory_bytes
    large = predict(Scenario(95, 100, 1.0, Window(1_048_576)))
    assert large.memory_bytes == one.memory_bytes
    assert large.client_memory_bound_bytes > 60 * one.client_memory_bound_bytes


@pytest.mark.parametrize("policy", list(Policy))
@pytest.mark.parametrize("processing", ["0", "2"])
def test_the_table_and_the_json_say_the_same(capsys, policy, processing):
    arguments = ["--policy", policy, "--processing-seconds", processing, "--window-bytes", "16384"]
    assert command.main([*arguments, "--json"]) == 0
    predicted = json.loads(capsys.readouterr().out)
    assert command.main(arguments) == 0
    table = capsys.readouterr().out
    assert ("keeps up" in table) is (not predicted["held_back"])
    assert f"{predicted['ceiling_updates']:,} updates" in table or not predicted["held_back"]


@pytest.mark.parametrize("arguments", [["--window-bytes", "100"], ["--updates-per-second", "0"], ["--policy", "none"]])
def test_what_cannot_be_predicted_is_refused_in_one_line(capsys, arguments):
    with pytest.raises(SystemExit, match="2"):
        command.main(arguments)
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert error.startswith("lab predict: ")
