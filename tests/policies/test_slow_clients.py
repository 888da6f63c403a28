"""Each policy with a client that stalls, wakes, stalls again, dies and returns."""

from __future__ import annotations

import pytest

from waiting import until

TICKERS = ("AAPL", "MSFT", "NVDA")
LIVE = ("conflate", "drop-oldest", "disconnect")
BUFFER_UPDATES = 8
HELD = {"pause": 0, "conflate": len(TICKERS), "drop-oldest": BUFFER_UPDATES, "disconnect": BUFFER_UPDATES}
"""Updates that may wait in the server for one stream, besides those in write."""
MOST_IN_BATCH = 4
"""Of about 1,000 bytes in a quarter of the window."""
PATIENT = {"buffer_updates": BUFFER_UPDATES, "disconnect_after_seconds": 3600}


@pytest.fixture(params=[False, True], ids=["GetUpdates", "GetUpdateBatches"])
def opener(opener, request):
    opener.batches = request.param
    return opener


def most_in_write(book):
    return MOST_IN_BATCH if book.method.endswith("GetUpdateBatches") else 1


def assert_balances(book):
    book = book.snapshot()
    assert book.produced == book.messages + book.dropped + book.waiting


def assert_all_explained(client, beats_seen):
    """Every update between the first and the last one processed has come, or is counted as dropped; none twice."""
    assert (client.missed, client.repeated) == (0, 0)
    for ticker in TICKERS:
        sequences = client.sequences(ticker)
        assert sequences == sorted(set(sequences))
        assert sequences[-1] == beats_seen, f"the newest of {ticker} has come"
    spans = [client.sequences(ticker)[-1] - client.sequences(ticker)[0] + 1 for ticker in TICKERS]
    assert client.dropped == sum(spans) - len(client.metrics.updates)


async def stall_and_fill(market, client, book):
    """Let a client stall and far more updates be made than its window and buffer hold; check what waits meanwhile."""
    client.stall()
    for _ in range(10):
        produced = book.snapshot().produced
        await market.beat(10)
        assert book.policy == "pause" or book.snapshot().produced == produced + 10 * len(TICKERS)
        assert_balances(book)
        assert book.waiting <= HELD[book.policy] + book.in_write
        assert book.in_write <= most_in_write(book)

    def full():
        return book.in_write > 0 and book.waiting == HELD[book.policy] + book.in_write

    await until(lambda: market.pace.beat() or full(), what="a full stall")
    await market.beat()
    assert_balances(book)


@pytest.mark.parametrize("policy", LIVE)
async def test_a_client_under_a_live_policy(opener, policy):
    market = await opener.market(**PATIENT)
    client = opener.client(market, policy)
    book = await market.open_stream("client")
    assert book.policy == policy

    for _ in range(2):
        await market.beat()
        await client.caught_up(book)
        await stall_and_fill(market, client, book)
        client.wake()
        await client.caught_up(book)
        assert_balances(book)
        assert book.snapshot().dropped == client.dropped > 0, "both ends count the same as dropped"
        assert_all_explained(client, market.pace.beaten)

    await stall_and_fill(market, client, book)
    await client.die()
    await market.no_stream_of("client")
    assert (market.subscribed, book.waiting, book.buffer) == (0, 0, None)
    tally = market.tally("client")
    assert tally["produced"] == tally["messages"] + tally["dropped"]

    await market.beat(20)
    had = {ticker: client.sequences(ticker)[-1] for ticker in TICKERS}
    client.wake()
    client.start()
    book = await market.open_stream("client")
    await market.beat()
    await client.caught_up(book)
    assert_all_explained(client, market.pace.beaten)
    had_not = sum(market.pace.beaten - last for last in had.values())
    assert market.tally("client")["produced"] == tally["produced"] + had_not, "it goes on where its client had stopped"


async def test_a_client_under_pause(opener):
    market = await opener.market(**PATIENT)
    client = opener.client(market)
    book = await market.open_stream("client")
    assert (book.policy, market.subscribed) == ("pause", 0)

    for _ in range(2):
        await stall_and_fill(market, client, book)
        client.wake()
        beats = market.pace.beaten
        await until(lambda: client.sequences("NVDA"), lambda sequences, all_=beats: sequences[-1:] == [all_])
        assert_balances(book)
        for ticker in TICKERS:
            assert client.sequences(ticker) == list(range(1, beats + 1)), "every update, in order, late"
        assert (book.snapshot().dropped, client.dropped, client.missed) == (0, 0, 0)

    await stall_and_fill(market, client, book)
    await client.die()
    await market.no_stream_of("client")
    tally = market.tally("client")
    assert 1 <= tally["dropped"] <= most_in_write(book), "those in write"
    assert tally["produced"] == tally["messages"] + tally["dropped"]

    client.metrics.updates.clear()
    client.wake()
    client.start()
    await until(lambda: market.books("client"))
    await until(lambda: market.pace.beat() or client.sequences("NVDA"), lambda sequences: len(sequences) > 3)
    assert client.sequences("AAPL")[:3] == [1, 2, 3], "from a source of its own, from the beginning"
    assert (client.dropped, client.missed, client.repeated) == (0, 0, 0)


async def test_conflate_delivers_the_newest_of_each_ticker_behind_what_is_in_flight(opener):
    market = await opener.market()
    client = opener.client(market, "conflate")
    book = await market.open_stream("client")
    await stall_and_fill(market, client, book)
    in_flight = book.messages + 1 - len(client.metrics.updates)
    client.wake()
    await client.caught_up(book)
    behind = client.metrics.updates[-3:]
    assert {(update.ticker, update.sequence) for update in behind} == {(t, market.pace.beaten) for t in TICKERS}
    assert in_flight <= 2 * (16 + most_in_write(book))
    assert len(client.metrics.updates) == book.messages


async def test_drop_oldest_delivers_the_last_ones_whole_and_in_order(opener):
    market = await opener.market(**PATIENT)
    client = opener.client(market, "drop-oldest")
    book = await market.open_stream("client")
    await stall_and_fill(market, client, book)
    client.wake()
    await client.caught_up(book)
    made = [(ticker, beat) for beat in range(1, market.pace.beaten + 1) for ticker in TICKERS]
    last = [(update.ticker, update.sequence) for update in client.metrics.updates[-BUFFER_UPDATES:]]
    assert last == made[-BUFFER_UPDATES:]
    processed = [(update.sequence, TICKERS.index(update.ticker)) for update in client.metrics.updates]
    assert processed == sorted(processed), "in order over all tickers"


async def test_policies_side_by_side(opener):
    """Stalled clients of each policy, and one that reads: it gets every update, at once, whatever the others do."""
    market = await opener.market(**PATIENT, allowed_policies="pause,conflate,drop-oldest,disconnect")
    stalled = {}
    for policy in ("pause", *LIVE):
        client = opener.client(market, policy, name=f"stalled-{policy}")
        client.stall()
        stalled[policy] = (client, await market.open_stream(client.name))
    readers = [opener.client(market, policy, name=f"reader-{policy}") for policy in ("pause", *LIVE)]
    for client in readers:
        await market.open_stream(client.name)
    beats = 60
    for beat in range(1, beats + 1):
        await market.beat()
        for client in readers:
            await until(lambda client=client: len(client.metrics.updates), (3 * beat).__eq__, what=client.name)
    for client in readers:
        for ticker in TICKERS:
            assert client.sequences(ticker) == list(range(1, beats + 1)), client.name
        assert (client.dropped, client.missed) == (0, 0)
    for policy, (client, book) in stalled.items():
        assert book.waiting == HELD[policy] + book.in_write, policy
        assert 0 < book.in_write <= most_in_write(book)
        produced = book.snapshot().produced
        assert produced < 3 * beats if policy == "pause" else produced == 3 * beats
        assert market.metric("flowcontrol_server_policy_streams", policy=policy) == 2
        client.wake()
        await client.caught_up(book)
        assert book.snapshot().dropped == client.dropped, policy
        assert (client.dropped > 0) == (policy != "pause")


@pytest.mark.parametrize("policy", ["conflate", "drop-oldest", "disconnect"])
async def test_what_waits_for_a_stalled_stream_is_bounded(opener, policy):
    """3,000 updates: the buffer holds what it may, and the transport one window."""
    market = await opener.market(**PATIENT, padding_bytes=0)
    client = opener.client(market, policy)
    client.stall()
    book = await market.open_stream("client")
    for _ in range(10):
        await market.beat(100)
        assert book.buffer.standing().waiting <= HELD[policy]
    assert book.wire_bytes <= 2 * 16_384
    assert book.waiting <= HELD[policy] + book.in_write, "fewer where the beats were over before the window was full"
    book = book.snapshot()
    assert book.dropped == 3_000 - book.messages - book.waiting
