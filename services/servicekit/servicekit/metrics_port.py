"""The port that Prometheus scrapes; it may also tell whether the service is ready."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, disable_created_metrics, start_http_server
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from servicekit.healthcheck import READY_PATH

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication


def new_registry() -> CollectorRegistry:
    """Return a registry that holds the process' own metrics: memory, processor time, garbage collection, Python."""
    disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for every counter, which nothing here reads
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


def serve_metrics(
    registry: CollectorRegistry, host: str, port: int, problem: Callable[[], str | None] | None = None
) -> int:
    """Serve `/metrics` from a thread of its own; return the port, which differs from `port` where that is 0.

    `problem` returns why the service is not ready, or None where it is; with it, `/ready` is served too. Raises OSError
    where the address cannot be had.
    """
    server, _ = start_http_server(port, addr=host, registry=registry)
    if problem is not None:
        server.set_app(_with_readiness(server.get_app(), problem))
    return int(server.server_port)


def _with_readiness(metrics: WSGIApplication | None, problem: Callable[[], str | None]) -> WSGIApplication:
    def app(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        if metrics is not None and environ["PATH_INFO"] != READY_PATH:
            return metrics(environ, start_response)
        found = problem()
        status = "200 OK" if found is None else "503 Service Unavailable"
        start_response(status, [("Content-Type", "text/plain; charset=utf-8")])
        return [f"{found or 'ready'}\n".encode()]

    return app
