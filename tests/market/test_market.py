"""The market on a real NATS: no number twice, whoever makes the next one, and it goes on by itself."""

from __future__ import annotations

import re
import signal
from pathlib import Path

from market_stream import Starter, assert_each_once_and_in_order, grows, state_of, stored
from nats_nodes import Nats, running_nats
from processes import HTTP, ask_health, free_port
from waiting import until_blocking


def test_updates_are_numbered_from_one_for_each_ticker(nats: Nats, stream: str, market: Starter) -> None:
    one = market(nats.url, "--tickers", "AAPL,BRK.B")
    grows(nats.url, stream)
    assert HTTP.get(f"http://127.0.0.1:{one.metrics_port}/ready").status_code == 200
    assert ask_health("stock_market", metrics_host="127.0.0.1", metrics_port=one.metrics_port) == (0, "")
    assert one.stop() == 0
    assert one.errors() == ""

    updates = stored(nats.url, stream)
    assert {each.ticker for each in updates} == {"AAPL", "BRK.B"}
    assert [each.sequence for each in updates[:4]] == [1, 1, 2, 2]
    assert_each_once_and_in_order(updates)


def test_a_market_that_is_killed_goes_on_where_it_stopped(nats: Nats, stream: str, market: Starter) -> None:
    for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL):
        one = market(nats.url, "--tickers", "A,B,C")
        grows(nats.url, stream)
        one.stop(number)
    assert_each_once_and_in_order(stored(nats.url, stream))


def test_of_two_markets_one_stands_by_and_takes_over(nats: Nats, stream: str, market: Starter) -> None:
    first = market(nats.url)
    first.event("market.active.start")
    second = market(nats.url)
    second.event("market.standby.start")
    grows(nats.url, stream)
    assert second.metric("stock_market_active") == 0
    assert second.events("market.active.start") == []

    first.stop(signal.SIGKILL)
    second.event("market.active.start")
    grows(nats.url, stream)
    assert_each_once_and_in_order(stored(nats.url, stream))


def test_a_market_that_hung_finds_that_another_one_has_taken_over(nats: Nats, stream: str, market: Starter) -> None:
    first = market(nats.url)
    first.event("market.active.start")
    second = market(nats.url)
    second.event("market.standby.start")
    grows(nats.url, stream)
    first.send(signal.SIGSTOP)
    second.event("market.active.start")
    grows(nats.url, stream)
    first.send(signal.SIGCONT)
    first.event("market.overtaken")
    first.metric_reaches("stock_market_overtaken_total", lambda times: times == 1)
    grows(nats.url, stream)

    assert (first.metric("stock_market_active"), second.metric("stock_market_active")) == (0, 1)
    assert_each_once_and_in_order(stored(nats.url, stream))


def test_what_the_stream_has_forgotten_is_not_made_twice(nats: Nats, stream: str, market: Starter) -> None:
    first = market(nats.url, "--keep-updates", "10", "--tickers", "OLD")
    last = grows(nats.url, stream)
    first.stop()
    between = market(nats.url, "--keep-updates", "10", "--tickers", "NEW")
    grows(nats.url, stream)
    between.stop()
    again = market(nats.url, "--keep-updates", "10", "--tickers", "OLD")
    grows(nats.url, stream)
    again.stop()
    kept = stored(nats.url, stream)
    assert {each.ticker for each in kept} == {"OLD"}
    assert min(each.sequence for each in kept) > last
    assert_each_once_and_in_order(kept)


def test_nats_that_is_killed_and_back_loses_no_update_that_it_has_acknowledged(
    tmp_path: Path, stream: str, market: Starter
) -> None:
    with running_nats(tmp_path / "nats") as node:
        one = market(node.url)
        grows(node.url, stream)
        source_id = state_of(node.url, stream).source_id
        node.kill()
        one.event("market.feed.failed")
        acknowledged = one.metric("stock_market_published_updates_total")
        until_blocking(
            lambda: HTTP.get(f"http://127.0.0.1:{one.metrics_port}/ready").status_code,
            lambda status: status == 503,
            within_seconds=10,
        )
        node.start()
        grows(node.url, stream)
        assert state_of(node.url, stream).source_id == source_id
        updates = stored(node.url, stream)
        assert len(updates) >= acknowledged
        assert_each_once_and_in_order(updates)


def test_a_stream_that_is_deleted_begins_anew_under_another_name_of_its_source(
    nats: Nats, stream: str, market: Starter
) -> None:
    one = market(nats.url)
    grows(nats.url, stream)
    before = state_of(nats.url, stream)
    delete(nats.url, stream)
    one.event("market.feed.failed")
    grows(nats.url, stream)
    assert state_of(nats.url, stream).source_id != before.source_id
    assert stored(nats.url, stream)[0].sequence == 1


def delete(url: str, stream: str) -> None:
    import asyncio

    import nats as client

    async def delete_it() -> None:
        connection = await client.connect(url)
        await connection.jetstream().delete_stream(stream)
        await connection.close()

    asyncio.run(delete_it())


def test_without_nats_it_says_so_once_and_waits(tmp_path: Path, stream: str, market: Starter) -> None:
    one = market(f"nats://user:secret@127.0.0.1:{free_port()}")
    one.event("market.feed.failed")
    one.metric_reaches("stock_market_feed_failures_total", lambda times: times > 3)
    (told,) = one.events("market.feed.failed")
    assert told["setting"] == "--feed (STOCK_MARKET_FEED)"
    assert re.fullmatch(r"127.0.0.1:\d+: Connection refused", told["reason"])
    assert "secret" not in str(one.events())
    status, complaint = ask_health("stock_market", metrics_host="127.0.0.1", metrics_port=one.metrics_port)
    assert status == 1
    assert told["reason"] in complaint
    assert one.stop() == 0


def test_wrong_credentials_are_told_as_such(tmp_path: Path, stream: str, market: Starter) -> None:
    with running_nats(tmp_path / "nats", "--user", "market", "--pass", "right") as node:
        refused = market(node.url.replace("//", "//market:wrong@"))
        told = refused.event("market.feed.failed")
        assert "authorization violation" in told["reason"].lower()
        right = market(node.url.replace("//", "//market:right@"))
        right.event("market.active.start")


def test_a_stream_of_somebody_else_is_left_alone(nats: Nats, stream: str, market: Starter) -> None:
    import asyncio

    import nats as client

    async def make() -> None:
        connection = await client.connect(nats.url)
        await connection.jetstream().add_stream(name=stream, subjects=["orders.>"])
        await connection.close()

    asyncio.run(make())
    one = market(nats.url)
    assert one.wait() == 2
    assert one.errors().startswith(f"stock-market: --stream (STOCK_MARKET_STREAM): NATS does not have {stream} so: ")
    assert one.errors().count("\n") == 1


def test_more_replicas_than_there_are_nodes_are_refused(nats: Nats, stream: str, market: Starter) -> None:
    one = market(nats.url, "--replicas", "3")
    assert one.wait() == 2
    assert "replicas" in one.errors()
