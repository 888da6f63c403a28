"""The port that Prometheus scrapes."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, disable_created_metrics, start_http_server
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector


def new_registry() -> CollectorRegistry:
    """Return a registry that holds the process' own metrics: memory, processor time, garbage collection, Python."""
    disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for every counter, which nothing here reads
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


def serve_metrics(registry: CollectorRegistry, host: str, port: int) -> int:
    """Serve `/metrics` from a thread of its own; return the port, which differs from `port` where that is 0.

    Raises OSError where the address cannot be had.
    """
    server, _ = start_http_server(port, addr=host, registry=registry)
    return int(server.server_port)
