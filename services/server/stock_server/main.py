"""Entry point: settings, logging, metrics, gRPC; run until a signal; drain."""

from __future__ import annotations

import asyncio

import structlog

from flowcontrol import FlowControlServerInterceptor
from servicekit.errors import exit_with
from servicekit.lifetime import stop_on_signals
from servicekit.logs import configure_logging
from servicekit.metrics_port import new_registry, serve_metrics
from servicekit.settings import load_settings, names_of
from stock_server.grpc_server import build, set_health
from stock_server.metrics import register_metrics
from stock_server.pace import Pace
from stock_server.service import StockService
from stock_server.settings import ServerSettings
from stock_server.source import StockSource

log = structlog.get_logger()


def main() -> None:
    """Run the stock server; the command `stock-server`."""
    settings = load_settings(ServerSettings)
    configure_logging(settings, service="server")
    asyncio.run(serve(settings))


async def serve(settings: ServerSettings) -> None:
    """Serve until SIGTERM or SIGINT, then drain. Ends the program with exit status 2 where a port is taken."""
    stop = stop_on_signals()

    registry = new_registry()
    interceptor = FlowControlServerInterceptor(registry=registry)
    register_metrics(registry, interceptor.ledger, settings.max_streams)
    try:
        metrics_port = serve_metrics(registry, settings.host, settings.metrics_port)
    except OSError as error:
        exit_with("stock-server", f"{names_of(ServerSettings, 'metrics_port')}: {error}")

    pace = Pace(settings.update_interval_seconds, settings.initial_delay_seconds)
    service = StockService(pace, lambda: StockSource(padding_bytes=settings.padding_bytes), settings.max_streams)
    try:
        server, grpc_port, health_service = build(settings, service, interceptor)
    except OSError as error:
        exit_with("stock-server", f"{names_of(ServerSettings, 'grpc_port')}: {error}; takes a free port")

    await server.start()
    await set_health(health_service, serving=True)
    log.info("server.start.complete", grpc_port=grpc_port, metrics_port=metrics_port)

    await stop.wait()

    log.info("server.drain.started", grace_seconds=settings.grace_seconds)
    await set_health(health_service, serving=False)
    await asyncio.sleep(settings.drain_delay_seconds)
    pace.stop()
    await server.stop(settings.grace_seconds)
    log.info("server.drain.complete")
