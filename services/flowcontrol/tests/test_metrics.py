"""The declared metrics against a real scrape."""

from __future__ import annotations

import threading
from wsgiref.simple_server import WSGIRequestHandler, make_server

import httpx
import pytest
from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.parser import text_string_to_metric_families

from flowcontrol import CLIENT_METRICS, SERVER_METRICS, Ledger, LedgerCollector, SendBook, Window
from flowcontrol.metrics.both_ends import SERVER_SENT_METRICS

from byte_service import ECHO_GENERATED, GENERATED, UPLOADED, Session, byte_session
from waiting import until

BOTH = {"server": SERVER_METRICS, "client": CLIENT_METRICS}


class Silent(WSGIRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass


class Scrape:
    """What `/metrics` says, by name and labels."""

    def __init__(self, registry: CollectorRegistry) -> None:
        with make_server("127.0.0.1", 0, make_wsgi_app(registry), handler_class=Silent) as server:
            thread = threading.Thread(target=server.handle_request)
            thread.start()
            response = httpx.get(f"http://127.0.0.1:{server.server_port}/metrics").raise_for_status()
            thread.join(10)
        self.families = list(text_string_to_metric_families(response.text))
        self.samples = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in self.families
            for sample in family.samples
            if not sample.name.endswith("_created")
        }

    def value(self, name: str, **labels: str) -> float:
        return self.samples[name, frozenset(labels.items())]


async def held_back(session: Session, window: Window) -> None:
    call = session.call(GENERATED)
    await call.read()
    await until(
        lambda: session.sent_books() and session.sent_books()[0].writing.lap_seconds(session.sent.clock()),
        lambda blocked: blocked > 0.05,
        what="a blocked write",
    )


@pytest.mark.parametrize("end", BOTH)
async def test_a_scrape_has_what_is_declared_and_nothing_else(end):
    window = Window(16_384)
    async with byte_session(window=window) as session:
        await held_back(session, window)
        echo = session.echo(ECHO_GENERATED)
        await echo.write(b"x")
        await echo.read()
        scrape = Scrape(session.server_registry if end == "server" else session.client_registry)
        declared = {(metric.name, metric.kind, metric.help, frozenset(metric.labels)) for metric in BOTH[end]}
        scraped = set()
        for family in scrape.families:
            samples = [sample for sample in family.samples if not sample.name.endswith("_created")]
            assert samples, family.name
            for sample in samples:
                scraped.add((sample.name, family.type, family.documentation, frozenset(sample.labels)))
        assert scraped == declared


async def test_both_ends_in_the_middle_of_a_blocked_write():
    window = Window(16_384)
    async with byte_session(client="slow", window=window) as session:
        await held_back(session, window)
        server, client = Scrape(session.server_registry), Scrape(session.client_registry)
        of = {"method": GENERATED, "client": "slow"}
        sent = server.value("flowcontrol_server_open_streams_sent_messages", **of)
        assert window.ceiling_messages(95) <= sent - 1 <= window.bound_messages(95)
        assert server.value("flowcontrol_server_open_streams_sent_bytes", **of) == 100 * sent
        assert server.value("flowcontrol_server_sent_messages_total", **of) == sent
        assert server.value("flowcontrol_server_method_sent_messages_total", method=GENERATED) == sent
        assert server.value("flowcontrol_server_method_sent_bytes_total", method=GENERATED) == 100 * sent
        assert server.value("flowcontrol_server_write_blocked_now_seconds", **of) > 0.05
        assert server.value("flowcontrol_server_write_blocked_seconds_total", **of) > 0.05
        assert server.value("flowcontrol_server_streams", **of) == 1
        assert server.value("flowcontrol_server_streams_opened_total", **of) == 1
        assert client.value("flowcontrol_client_received_messages_total", **of) == 1
        assert client.value("flowcontrol_client_open_streams_received_bytes", **of) == 100
        assert client.value("flowcontrol_client_processing_seconds_total", **of) > 0.05
        assert client.value("flowcontrol_client_window_bytes", **of) == 16_384
        ids = server.value("flowcontrol_server_stream_ids", **of)
        assert ids == client.value("flowcontrol_client_stream_ids", **of) > 0


async def test_both_ends_in_the_middle_of_a_blocked_upload():
    window = Window(16_384)
    async with byte_session(client="eager", server_window=window) as session:
        call = session.upload(UPLOADED, (bytes(95) for _ in range(1_000)))
        session.service.allowed.release()
        session.service.allowed.release()
        await until(session.taken.open_books, lambda books: books and books[0].messages == 2, what="two that are read")
        await until(
            lambda: session.uploaded.open_books()[0].writing.lap_seconds(session.uploaded.clock()),
            lambda blocked: blocked > 0.05,
            what="a blocked write",
        )
        server, client = Scrape(session.server_registry), Scrape(session.client_registry)
        of = {"method": UPLOADED, "client": "eager"}
        sent = client.value("flowcontrol_client_open_streams_sent_messages", **of)
        read = server.value("flowcontrol_server_open_streams_received_messages", **of)
        assert read == server.value("flowcontrol_server_method_received_messages_total", method=UPLOADED) == 2
        assert window.ceiling_messages(95) <= sent <= 2 + window.bound_messages(95)
        assert client.value("flowcontrol_client_open_streams_sent_bytes", **of) == 100 * sent
        assert client.value("flowcontrol_client_sent_bytes_total", **of) == 100 * sent
        assert client.value("flowcontrol_client_write_blocked_now_seconds", **of) > 0.05
        assert client.value("flowcontrol_client_produced_messages_total", **of) == sent + 1
        assert client.value("flowcontrol_client_upload_streams", **of) == 1
        assert server.value("flowcontrol_server_received_bytes_total", **of) == 200
        assert server.value("flowcontrol_server_processing_seconds_total", **of) > 0.05
        assert server.value("flowcontrol_server_upload_window_bytes", **of) == 16_384
        ids = server.value("flowcontrol_server_upload_stream_ids", **of)
        assert ids == client.value("flowcontrol_client_upload_stream_ids", **of) > 0
        assert ("flowcontrol_server_streams", frozenset(of.items())) not in server.samples, "it sends no stream"
        session.service.read_all()
        assert await call == b"1000"


async def test_a_forgotten_client_has_no_series_and_its_counts_stay_in_the_methods():
    now = 0.0
    ledger = Ledger(SendBook, forget_after_seconds=300, clock=lambda: now)
    async with byte_session(sent=ledger) as session:
        call = session.call(GENERATED, b"5")
        assert len([message async for message in call]) == 5
        await until(session.sent_books, lambda books: books == [])
        assert Scrape(session.server_registry).value(
            "flowcontrol_server_sent_messages_total", method=GENERATED, client="tester"
        )
        now = 300.0
        scrape = Scrape(session.server_registry)
        assert {labels for _, labels in scrape.samples if labels} == {frozenset({("method", GENERATED)})}
        assert scrape.value("flowcontrol_server_method_sent_messages_total", method=GENERATED) == 5


@pytest.mark.parametrize("metrics", BOTH.values(), ids=BOTH)
def test_names_follow_the_rules_of_prometheus(metrics):
    for metric in metrics:
        assert metric.name.endswith("_total") == (metric.kind == "counter"), metric.name
        assert metric.help.endswith("."), metric.name
        assert set(metric.labels) <= {"method", "client", "to", "policy"}, metric.name
    assert len({metric.name for metric in metrics}) == len(metrics)


def test_registering_does_not_read_the_ledger():
    class Unreadable(Ledger):
        def statement(self):
            raise AssertionError("read")

    CollectorRegistry().register(LedgerCollector(Unreadable(SendBook), SERVER_SENT_METRICS))
