"""What is written of large families is, byte for byte, what the client library writes."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Gauge, Histogram
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily

from flowcontrol import FlowControlServerInterceptor, Window
from flowcontrol.identity import Identity
from servicekit.metrics import exposition
from servicekit.metrics.exposition import END, MANY, encode_family
from servicekit.metrics.page import MetricsPage

FORMATS = ["", "application/openmetrics-text;version=1.0.0", "application/openmetrics-text;version=0.0.1"]
LABEL = st.text(st.characters(codec="utf-8"), max_size=12)
VALUE = st.one_of(
    st.integers(-(10**18), 10**18), st.floats(), st.sampled_from([0, -0.0, 1e6, 999_999.5, math.inf, -math.inf])
)


class Fixed:
    def __init__(self, family):
        self.family = family

    def collect(self):
        yield self.family


def by_the_library(accept, family):
    encode, _ = choose_encoder(accept)
    return encode(Fixed(family)).removesuffix(END)


@pytest.mark.parametrize("accept", FORMATS)
@pytest.mark.parametrize("kind", [CounterMetricFamily, GaugeMetricFamily])
@settings(max_examples=50)
@given(samples=st.lists(st.tuples(LABEL, LABEL, VALUE), min_size=MANY, max_size=MANY + 5), help_=LABEL)
def test_a_large_family_is_written_as_by_the_library(accept, kind, samples, help_):
    family = kind("many_things", help_, labels=["z", "a"])
    for z, a, value in samples:
        family.add_metric([z, a], value)
    encode, _ = choose_encoder(accept)
    assert encode_family(encode, family) == by_the_library(accept, family)


@pytest.mark.parametrize("accept", FORMATS)
async def test_a_page_is_what_the_library_makes_of_the_registry(accept, monkeypatch):
    registry = CollectorRegistry()
    ledger = FlowControlServerInterceptor(registry=registry).ledger
    for number in range(2 * MANY):
        ledger.open("a.B/C", Identity(f"client-{number}", number, Window())).compressed = True
    Histogram("seconds", "Of a kind that is left to the library.", ["of"], registry=registry).labels("x").observe(1)
    Gauge("one", "Of one.", registry=registry).set(7)
    calls: list[int] = []
    monkeypatch.setattr(exposition, "_number", lambda value: calls.append(1) or repr(float(value)))
    page = await MetricsPage(registry).get(accept)
    encode, content_type = choose_encoder(accept)
    wanted = encode(registry)
    assert page.content_type == content_type
    without_times = [line for line in page.body.split(b"\n") if b"_created" not in line]
    assert without_times == [line for line in wanted.split(b"\n") if b"_created" not in line]
    assert len(calls) > 10 * MANY, "the large ones are not written by the library"
