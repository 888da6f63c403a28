"""The stock service beside OpenTelemetry's interceptors, which `opentelemetry-instrument` puts in front of all."""

from __future__ import annotations

import pytest
from opentelemetry.instrumentation.grpc import GrpcAioInstrumentorClient, GrpcAioInstrumentorServer

from stock_server.streams.policy import POLICY_KEY, Policy
from stockservice.stock_pb2 import EmptyRequest
from stockservice.stock_pb2_grpc import StockServiceStub

from waiting import until


@pytest.fixture
def instrumented():
    instrumentors = (GrpcAioInstrumentorServer(), GrpcAioInstrumentorClient())
    for each in instrumentors:
        each.instrument()
    yield
    for each in instrumentors:
        each.uninstrument()


@pytest.mark.parametrize("policy", Policy)
async def test_every_policy_serves_while_it_is_traced(instrumented, opener, policy):
    market = await opener.market()
    call = StockServiceStub(opener.channel(market)).GetUpdates(EmptyRequest(), metadata=((POLICY_KEY, policy.value),))
    await until(lambda: market.ledger.open_books(), what="a stream")
    await until(lambda: market.pace.seen_by, what="one who waits for a beat")
    messages, updates = aiter(call), []
    for number in (1, 2, 3):
        await market.beat()
        updates += [await anext(messages) for _ in range(3)]
        assert [(update.ticker, update.sequence) for update in updates[-3:]] == [
            (ticker, number) for ticker in ("AAPL", "MSFT", "NVDA")
        ]
    (book,) = market.ledger.open_books()
    assert (book.policy, book.unsized) == (policy, 0)
    wire_bytes = sum(update.ByteSize() + 5 for update in updates)
    await until(lambda: book.wire_bytes, lambda counted: counted == wire_bytes)  # once the last write has returned
    call.cancel()
    await until(market.ledger.open_books, lambda books: books == [])
    assert market.ledger.faults.count == 0
