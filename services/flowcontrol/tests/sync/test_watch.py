"""A thread tells who is held back and who has recovered; it ends with the last stream, and outlives faults."""

from __future__ import annotations

import threading

from flowcontrol import Thresholds, Window
from flowcontrol.sync.watch import log

from sync_service import sync_session
from waiting import until_blocking

SOON = Thresholds(share_window_seconds=0.3, stopped_after_seconds=60, check_every_seconds=0.05)


def watches(session) -> list[threading.Thread]:
    thread = session.server_side._opener._watch._thread
    return [each for each in threading.enumerate() if each is thread]


def test_a_client_is_told_held_back_and_recovered_and_then_the_thread_ends():
    with sync_session(window=Window(16_384), thresholds=SOON) as session:
        call = session.call()
        until_blocking(lambda: session.events, what="an event")
        [event] = session.events
        assert (event.became, event.client, event.sent_messages) == ("held_back", "tester", 163)
        assert event.in_flight_bytes == 16_384
        assert event.blocked_share >= 0.5
        assert len(watches(session)) == 1

        def recovered():
            for _ in range(100):
                next(call)
            return session.events[1:]

        [event] = until_blocking(recovered, what="a second event")
        assert event.became == "recovered"
        call.cancel()
        session.closed()
        until_blocking(lambda: watches(session), lambda threads: threads == [], what="the thread's end")
        assert session.sent()["transitions_held_back"] == 1
        list(session.call(b"1"))
        session.closed()  # another stream has another thread
        until_blocking(lambda: watches(session), lambda threads: threads == [], what="the thread's end")


def test_what_is_told_may_fail(caplog, monkeypatch):
    monkeypatch.setattr(log, "disabled", False)
    stopped = Thresholds(share_window_seconds=0.2, stopped_after_seconds=0.5, check_every_seconds=0.05)
    with sync_session(thresholds=stopped) as session:
        told = []

        def fails(event):
            told.append(event.became)
            raise LookupError("a bug in the callback")

        session.server_side._opener._watch._judge._on_event = fails
        session.call()
        until_blocking(lambda: told, lambda told: told == ["held_back", "stopped"])
    assert "telling of a consumer has failed" in caplog.text
