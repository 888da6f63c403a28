"""A metrics port with an apple counter and a pear gauge."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge

from servicekit.metrics.port import new_registry, serve_metrics


@pytest.fixture
def registry() -> CollectorRegistry:
    registry = new_registry()
    Counter("apples", "Apples.", registry=registry).inc(3)
    Gauge("pears", "Pears.", registry=registry).set(2)
    return registry


@pytest.fixture
def address(registry: CollectorRegistry) -> str:
    return f"http://127.0.0.1:{serve_metrics(registry, '127.0.0.1', 0)}"
