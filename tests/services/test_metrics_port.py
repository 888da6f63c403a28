"""The port that Prometheus scrapes: what it answers, to how many, and for how long it waits for them."""

from __future__ import annotations

import asyncio
import gc
import gzip
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator

import psutil
import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from servicekit import metrics_page, metrics_port
from servicekit.metrics_port import new_registry, serve_metrics

from processes import HTTP
from waiting import until_blocking


class Slow(Collector):
    """Takes its time, and counts how often and how many at once it is asked."""

    def __init__(self, collect: Callable[[], None] = lambda: None) -> None:
        self.asked = 0
        self.at_once = 0
        self.most_at_once = 0
        self._collect = collect

    def describe(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("slow", "")

    def collect(self) -> Iterator[Metric]:
        self.asked += 1
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        time.sleep(0.2)
        self._collect()
        self.at_once -= 1
        yield GaugeMetricFamily("slow", "Large.", value=1)


@pytest.fixture
def registry() -> CollectorRegistry:
    registry = new_registry()
    Counter("apples", "Apples.", registry=registry).inc(3)
    Gauge("pears", "Pears.", registry=registry).set(2)
    return registry


@pytest.fixture
def address(registry: CollectorRegistry) -> str:
    return f"http://127.0.0.1:{serve_metrics(registry, '127.0.0.1', 0)}"


def names(text: str) -> set[str]:
    return {sample.name for family in text_string_to_metric_families(text) for sample in family.samples}


def test_the_page_is_at_its_path_alone(address):
    page = HTTP.get(f"{address}/metrics")
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/plain; version=")
    assert {"apples_total", "pears", "python_info", "process_open_fds"} <= names(page.text)
    for other in ("/", "/foo", "/metrics/", "/metricsx", "//metrics"):
        answer = HTTP.get(address + other)
        assert (answer.status_code, answer.text.count("\n")) == (404, 1), other


def test_head_is_get_without_a_body_and_other_methods_are_refused(address):
    for path in ("/metrics?name[]=pears", "/healthz", "/none"):
        plain = {"accept-encoding": "identity"}
        head, get = HTTP.head(address + path, headers=plain), HTTP.get(address + path, headers=plain)
        assert head.status_code == get.status_code
        assert head.content == b""
        assert head.headers["content-length"] == get.headers["content-length"] == str(len(get.content))
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        refused = HTTP.request(method, f"{address}/metrics")
        assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("wanted", ["apples", "apples_total"])
@pytest.mark.parametrize("key", ["name[]", "name%5B%5D"])
def test_a_filter_takes_a_metrics_name_and_a_samples(address, key, wanted):
    assert names(HTTP.get(f"{address}/metrics?{key}={wanted}").text) == {"apples_total"}
    assert names(HTTP.get(f"{address}/metrics?{key}={wanted}&{key}=pears").text) == {"apples_total", "pears"}
    assert HTTP.get(f"{address}/metrics?{key}=none").text == ""


def test_who_asks_for_it_gets_openmetrics_and_who_takes_it_compressed(address):
    page = HTTP.get(
        f"{address}/metrics?name[]=apples", headers={"accept": "application/openmetrics-text; version=1.0.0"}
    )
    assert page.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert page.text.endswith("apples_total 3.0\n# EOF\n")
    odd = HTTP.get(f"{address}/metrics", headers={"accept": "application/openmetrics-text; version=none"})
    assert odd.status_code == 200
    with HTTP.stream("GET", f"{address}/metrics", headers={"accept-encoding": "gzip"}) as packed:
        assert packed.headers["content-encoding"] == "gzip"
        assert b"apples_total 3.0" in gzip.decompress(b"".join(packed.iter_raw()))


def test_health_is_the_port_and_readiness_what_the_service_says():
    problem: list[str] = []
    port = serve_metrics(CollectorRegistry(), "127.0.0.1", 0, problem=lambda: problem[0] if problem else None)
    address = f"http://127.0.0.1:{port}"
    assert [HTTP.get(address + path).status_code for path in ("/healthz", "/ready")] == [200, 200]
    problem.append("no stream for 60 s")
    assert HTTP.get(f"{address}/healthz").status_code == 200
    not_ready = HTTP.get(f"{address}/ready")
    assert (not_ready.status_code, not_ready.text) == (503, "no stream for 60 s\n")


def test_scrapers_that_come_at_once_share_a_page_and_are_served_one_after_another(registry):
    slow = Slow()
    registry.register(slow)
    address = f"http://127.0.0.1:{serve_metrics(registry, '127.0.0.1', 0)}"
    pages: list[str] = []

    def scrape(number: int) -> None:
        wanted = "?name[]=slow" if number % 2 else ""
        pages.append(HTTP.get(f"{address}/metrics{wanted}", timeout=20).raise_for_status().text)

    scrapers = [threading.Thread(target=scrape, args=(number,)) for number in range(60)]
    for scraper in scrapers:
        scraper.start()
    for scraper in scrapers:
        scraper.join(20)
    assert len(pages) == 60
    assert all("slow 1.0" in page for page in pages)
    assert slow.most_at_once == 1
    assert slow.asked < 20, "on a busy machine not all 60 have come when the first page is due"


def test_a_page_is_never_older_than_the_request_for_it(registry, address):
    gauge = Gauge("plums", "Plums.", registry=registry)
    for count in range(50):
        gauge.set(count)
        assert f"plums {count}.0" in HTTP.get(f"{address}/metrics?name[]=plums").text


async def test_it_rests_after_a_page_as_long_as_that_took(registry):
    slow = Slow()
    registry.register(slow)
    page = metrics_page.MetricsPage(registry)
    began = time.monotonic()
    for _ in range(3):
        await page.get(names=frozenset({"slow"}))
    assert time.monotonic() - began >= 5 * 0.2, "three pages, and two rests between them"


async def test_one_who_goes_away_leaves_the_page_to_the_others(registry):
    page = metrics_page.MetricsPage(registry)
    one, other = (asyncio.create_task(page.get()) for _ in range(2))
    await asyncio.sleep(0)
    one.cancel()
    assert b"apples_total 3.0" in (await other).body


def test_a_collector_that_fails_is_an_answer_and_the_port_goes_on(registry):
    failures = [ZeroDivisionError("a fault of the test"), None]

    def fail() -> None:
        if failure := failures.pop(0):
            raise failure

    registry.register(Slow(fail))
    address = f"http://127.0.0.1:{serve_metrics(registry, '127.0.0.1', 0)}"
    assert HTTP.get(f"{address}/metrics").status_code == 500
    assert HTTP.get(f"{address}/metrics").status_code == 200


@pytest.mark.parametrize(
    "sent",
    [b"", b"GET /metrics HTTP/1.1\r\nHost: x\r\n", b"GET"],
    ids=["nothing", "half a request", "a word"],
)
def test_who_does_not_end_its_request_is_dropped_in_time(registry, monkeypatch, sent):
    monkeypatch.setattr(metrics_port, "REQUEST_SECONDS", 0.3)
    port = serve_metrics(registry, "127.0.0.1", 0)
    with socket.create_connection(("127.0.0.1", port), timeout=10) as slow:
        slow.sendall(sent)
        assert slow.recv(100) == b""


def test_who_sends_a_request_letter_by_letter_is_dropped_in_time(registry, monkeypatch):
    monkeypatch.setattr(metrics_port, "REQUEST_SECONDS", 0.5)
    port = serve_metrics(registry, "127.0.0.1", 0)
    with socket.create_connection(("127.0.0.1", port), timeout=10) as slow:
        began = time.monotonic()

        def send_one() -> bool:
            try:
                slow.sendall(b"G")
            except OSError:
                return True
            return False

        until_blocking(send_one, every_seconds=0.05)
        assert time.monotonic() - began >= 0.5


def connections_at(port: int) -> int:
    """Return how many connections to a port are established, seen from the port's end."""
    return sum(
        connection.laddr.port == port and connection.status == psutil.CONN_ESTABLISHED
        for connection in psutil.Process().net_connections(kind="tcp")
        if connection.laddr
    )


def test_who_does_not_take_its_page_is_dropped_in_time(registry, monkeypatch):
    for number in range(200):
        Gauge(f"large_{number}", "x" * 100_000, registry=registry)
    monkeypatch.setattr(metrics_port, "REQUEST_SECONDS", 1.0)
    port = serve_metrics(registry, "127.0.0.1", 0)
    with socket.create_connection(("127.0.0.1", port), timeout=10) as slow:
        slow.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        until_blocking(lambda: slow.recv(12, socket.MSG_PEEK), lambda got: got == b"HTTP/1.1 200")
        until_blocking(lambda: connections_at(port), lambda count: count == 0)
        taken = 0
        try:
            while got := slow.recv(1_000_000):
                taken += len(got)
        except ConnectionError:
            pass
        assert taken < 19_000_000


def test_those_who_send_nothing_make_room_for_those_who_ask(registry):
    port = serve_metrics(registry, "127.0.0.1", 0)
    silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(2 * metrics_port.MOST_CONNECTIONS)]
    try:
        assert HTTP.get(f"http://127.0.0.1:{port}/metrics", timeout=5).status_code == 200
        silent[0].settimeout(5)
        assert silent[0].recv(1) == b"", "the oldest had to go"
    finally:
        for connection in silent:
            connection.close()


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"400"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"4"),
        (b"GET /metrics HTTP/1.1\r\nHost: x\r\nx: " + b"x" * 20_000, b"431"),
        (b"GET \xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n", b"4"),
        (b"GET http://[x/metrics?name[]=%ff HTTP/1.1\r\nHost: x\r\n\r\n", b"404"),
    ],
    ids=["TLS", "HTTP/2", "too large", "no text", "no URL"],
)
def test_what_is_no_request_is_answered_and_the_port_goes_on(address, sent, status):
    with socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2])), timeout=5) as odd:
        odd.sendall(sent)
        answer = odd.recv(1_000)
        assert answer.startswith(b"HTTP/1.1 " + status), answer
    assert HTTP.get(f"{address}/metrics").status_code == 200


def test_a_port_that_is_taken_is_an_error_of_the_caller(address, registry):
    with pytest.raises(OSError, match="in use"):
        serve_metrics(registry, "127.0.0.1", int(address.rpartition(":")[2]))


def test_all_addresses_of_ipv6_are_those_of_ipv4_too(registry):
    port = serve_metrics(registry, "::", 0)
    for host in ("127.0.0.1", "[::1]"):
        assert HTTP.get(f"http://{host}:{port}/healthz").status_code == 200


def test_whatever_bytes_come_the_port_goes_on_and_raises_nothing(address, caplog):
    draw = random.Random(1)
    requests = [
        b"GET /metrics?name[]=pears HTTP/1.1\r\nHost: x\r\nAccept: text/plain;version=1.0.0\r\n"
        b"Content-Length: 3\r\n\r\nabc",
        b"POST /ready HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n"
        b"5\r\nhello\r\n0\r\n\r\n",
        b"HEAD /healthz HTTP/1.0\r\n\r\n",
        bytes(range(256)),
        b"",
    ]
    for _ in range(500):
        request = bytearray(draw.choice(requests))
        for _ in range(draw.randrange(6)):
            begin = draw.randrange(len(request) + 1)
            request[begin : begin + draw.randrange(20)] = draw.randbytes(draw.randrange(20))
        with socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2])), timeout=10) as odd:
            odd.sendall(request)
            odd.shutdown(socket.SHUT_WR)
            try:
                answer = odd.recv(12)
            except ConnectionError:
                answer = b""
            assert not answer or answer.startswith(b"HTTP/1.1 "), bytes(request)
    assert HTTP.get(f"{address}/healthz").status_code == 200
    gc.collect()  # asyncio tells of a task that has failed once the task goes
    assert caplog.records == []
