"""A compressed stream is marked as one, and nothing is claimed of its bytes."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from prometheus_client import CollectorRegistry

from flowcontrol import FlowControlServerInterceptor, Identity, Ledger, SendBook, Window, current_stream
from flowcontrol.books.consumers import ConsumerWatch, Thresholds

from byte_service import session_of
from waiting import until

WINDOW = Window(65_535)
GZIP = grpc.Compression.Gzip
OF = {"method": "zip.Zip/Zeros", "client": "unnamed"}


class Zeros(grpc.GenericRpcHandler):
    """Writes messages of 1,000 zeros without end."""

    def __init__(self, compression: grpc.Compression | None) -> None:
        self._compression = compression

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        return grpc.unary_stream_rpc_method_handler(self.zeros)

    async def zeros(self, request: bytes, context: Any) -> Any:
        if self._compression is not None:
            context.set_compression(self._compression)
        self.stream = current_stream()
        while True:
            yield bytes(1_000)


@pytest.mark.parametrize(
    ("of_server", "of_stream", "compressed"),
    [(None, GZIP, True), (GZIP, None, True), (GZIP, grpc.Compression.NoCompression, False), (None, None, False)],
)
async def test_the_window_holds_what_is_compressed(of_server, of_stream, compressed):
    registry = CollectorRegistry()
    server_side = FlowControlServerInterceptor(registry=registry, compression=of_server)
    zeros = Zeros(of_stream)
    async with session_of([server_side], [], zeros, compression=of_server, options=WINDOW.channel_options()) as channel:
        call = channel.unary_stream(f"/{OF['method']}")(b"")
        await until(lambda: server_side.ledger.open_books())
        (book,) = server_side.ledger.open_books()
        ceiling = WINDOW.ceiling_messages(1_000)
        # a busy machine makes the first write long too
        await until(
            lambda: book.messages >= ceiling and book.writing.lap_seconds(server_side.ledger.clock()) > 0.1,
            what="a blocked write",
        )
        assert (book.messages == ceiling) == (not compressed)
        assert registry.get_sample_value("flowcontrol_server_sent_messages_total", OF) == book.messages >= ceiling
        assert registry.get_sample_value("flowcontrol_server_compressed_streams", OF) == compressed
        for name in ("sent_bytes_total", "open_streams_sent_bytes"):
            known = registry.get_sample_value(f"flowcontrol_server_{name}", OF)
            assert known == (None if compressed else ceiling * 1_005)
        of_method = registry.get_sample_value("flowcontrol_server_method_sent_bytes_total", {"method": OF["method"]})
        assert (of_method is None) == compressed
        call.cancel()


def test_a_stream_whose_bytes_are_not_known_recovers_by_its_messages():
    now = 0.0
    ledger = Ledger(SendBook, clock=lambda: now)
    became: list[str] = []
    watch = ConsumerWatch(ledger, lambda event: became.append(event.became), Thresholds())
    book = ledger.open("zip.Zip/Zeros", Identity("client", 1, WINDOW))
    book.compressed = True
    for second in range(400):
        now = float(second)
        if second < 10 or second >= 60:  # 10 messages a second, but for 50 s in which a write is blocked
            book.writing.stop(now)
            for _ in range(10):
                book.add(None)
        elif second == 10:
            book.writing.start(now)
        watch.check(book, now)
        if second == 69:
            assert became == ["held_back"], "as many as before may still be in flight"
    assert became == ["held_back", "recovered"]
