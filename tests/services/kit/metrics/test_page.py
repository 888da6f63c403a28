"""The port that Prometheus scrapes: what it answers, and to how many."""

from __future__ import annotations

import asyncio
import gzip
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from servicekit.metrics import page as metrics_page
from servicekit.metrics.port import serve_metrics

from processes import HTTP


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


def test_a_port_that_is_taken_is_an_error_of_the_caller(address, registry):
    with pytest.raises(OSError, match="in use"):
        serve_metrics(registry, "127.0.0.1", int(address.rpartition(":")[2]))


def test_all_addresses_of_ipv6_are_those_of_ipv4_too(registry):
    port = serve_metrics(registry, "::", 0)
    for host in ("127.0.0.1", "[::1]"):
        assert HTTP.get(f"http://{host}:{port}/healthz").status_code == 200


def test_all_addresses_are_those_of_ipv4_where_the_host_has_no_other(registry, monkeypatch):
    monkeypatch.setattr("socket.has_dualstack_ipv6", lambda: False)
    port = serve_metrics(registry, "::", 0)
    assert HTTP.get(f"http://127.0.0.1:{port}/healthz").status_code == 200
