"""The policies between processes: clients that are killed while they stall, and one that is sent away and returns."""

from __future__ import annotations

import signal

from processes import Services
from waiting import until_blocking

LIVE = ("conflate", "drop-oldest", "disconnect")
BLOCKED = "flowcontrol_server_write_blocked_now_seconds"
TICKERS = ("--tickers", "AAPL,MSFT,NVDA")
FAST = ("--update-interval-seconds", "0.005", "--padding-bytes", "1000", "--buffer-updates", "20", *TICKERS)


def test_stalled_clients_of_each_policy_that_are_killed_leave_their_books_in_balance(services: Services):
    server = services.server(*FAST, "--disconnect-after-seconds", "3600")
    reader = services.client(server.address, "--policy", "drop-oldest", name="reader")
    policies = ("pause", *LIVE)
    stalled = {
        policy: services.client(server.address, "--policy", policy, "--processing", "stopped", name=policy)
        for policy in policies
    }
    for policy in policies:
        server.metric_reaches(BLOCKED, lambda seconds: seconds > 0.3, client=policy)
        assert server.metric("flowcontrol_server_policy_streams", client=policy, policy=policy) == 1
    for client in stalled.values():
        client.send(signal.SIGKILL)
    for policy, client in stalled.items():
        client.wait()
        server.metric_reaches("flowcontrol_server_streams", lambda streams: streams == 0, client=policy)
        produced, sent, dropped, waiting = (
            server.metric(f"flowcontrol_server_{name}", client=policy)
            for name in (
                "produced_messages_total",
                "sent_messages_total",
                "dropped_messages_total",
                "waiting_messages",
            )
        )
        assert (produced, waiting) == (sent + dropped, 0), policy
        assert dropped == 1 if policy == "pause" else dropped > 1
    assert reader.metric("stock_client_missed_updates_total") == 0
    assert server.metric("flowcontrol_server_streams") == 1
    assert server.errors() == "", "a client that dies is nothing to complain of"


def test_a_client_that_is_sent_away_comes_back_as_told(services: Services):
    server = services.server(
        *("--update-interval-seconds", "0.02", "--padding-bytes", "2000", "--buffer-updates", "20", *TICKERS),
        *("--policy", "disconnect", "--disconnect-after-seconds", "0.5", "--retry-delay-seconds", "2.5"),
    )
    # it is sent away about 2.4 s after its start, and not before 4 s there again; a busy machine may take longer
    client = services.client(server.address, "--processing", "none@1.5,stopped@4,none", name="sent-away")
    end = client.event("stream.end")
    assert end["reason"].startswith("RESOURCE_EXHAUSTED: the client has been behind for ")
    assert 2.5 <= end["reconnect_in_seconds"] <= 2.5 + 0.1
    resumed = client.event("stream.resume.complete")
    assert resumed["same_source"] is True
    assert resumed["gap_seconds"] >= 2.4
    client.metric_reaches("stock_updates_received_total", lambda updates: updates > 300)

    def state() -> dict[str, float]:
        names = ("dropped", "missed", "repeated")
        return {name: client.metric(f"stock_client_{name}_updates_total") for name in names}

    state_now = until_blocking(state, lambda state: state["dropped"] > 0)
    assert (state_now["missed"], state_now["repeated"]) == (0, 0)
    assert server.metric("flowcontrol_server_streams_opened_total", client="sent-away") == 2
