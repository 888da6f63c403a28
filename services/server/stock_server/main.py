"""Entry point: settings, logging, metrics, gRPC; run until a signal; drain."""

from __future__ import annotations

import asyncio

import structlog

from flowcontrol import FlowControlServerInterceptor, MessageLog, SharedMessage, Thresholds
from servicekit.descriptors import raise_descriptor_limit
from servicekit.lifetime import leave, stop_on_signals
from servicekit.logs.lines import configure_logging
from servicekit.metrics.port import new_registry, serve_metrics
from servicekit.metrics.tls import metrics_context
from servicekit.settings import exit_for_address, load_settings
from servicekit.tls.expiry import CertificateExpiry
from servicekit.tls.files import Reloaded
from stock_server.credentials import certified_name
from stock_server.health import Health
from stock_server.metrics import register_metrics
from stock_server.port.accepting import AcceptingServer
from stock_server.port.grpc_server import build
from stock_server.port.handshakes import FailedHandshakes
from stock_server.settings import ServerSettings
from stock_server.streams.feed import LiveFeed, size_of
from stock_server.streams.service import SERVICE_NAME, StockService
from stock_server.streams.slow_consumer import report
from stockfeed.pace import Pace
from stockfeed.source import StockSource

log = structlog.get_logger()

HANDLERS_WITHIN_SECONDS = 5.0
"""How long handlers may take to end once their streams have: it is some turns of the loop, unless one hangs."""


def main() -> None:
    """Run the stock server; the command `stock-server`."""
    settings = load_settings(ServerSettings)
    configure_logging(settings, service="server")
    raise_descriptor_limit()
    asyncio.run(serve(settings))


async def serve(settings: ServerSettings) -> None:
    """Serve until SIGTERM or SIGINT, then drain. Ends the program with exit status 2 where a port is taken.

    With 1 where it has lost its port on the way: whoever starts it again gives it another chance.
    """
    stop = stop_on_signals()

    registry = new_registry()
    thresholds = Thresholds(
        held_back_share=settings.held_back_share, stopped_after_seconds=settings.stopped_after_seconds
    )
    interceptor = FlowControlServerInterceptor(
        registry=registry, on_consumer=report, thresholds=thresholds, name_of=certified_name
    )

    def new_sources() -> list[StockSource]:
        return [StockSource(ticker, settings.padding_bytes) for ticker in settings.ticker_list]

    pace = Pace(settings.update_interval_seconds, settings.initial_delay_seconds)
    updates: MessageLog[SharedMessage] = MessageLog(settings.log_bounds, size_of=size_of)
    service = StockService(pace, LiveFeed(new_sources(), pace, updates), new_sources, settings.limits, registry)
    register_metrics(
        registry,
        interceptor.ledger,
        max_streams=settings.max_streams,
        keepalive_time_seconds=settings.keepalive_time_seconds,
        open_streams=lambda: service.streams,
        expected_clients=settings.expected_client_list,
    )
    tls, metrics_tls = Reloaded.of(settings.tls), Reloaded.of(settings.metrics_tls)
    registry.register(CertificateExpiry([tls, metrics_tls]))
    health = Health(SERVICE_NAME)
    try:
        metrics_port = serve_metrics(
            registry, settings.host, settings.metrics_port, health.problem, metrics_context(metrics_tls)
        )
    except OSError as error:
        exit_for_address(ServerSettings, "host", "metrics_port", error)

    server = AcceptingServer(lambda port: build(settings, service, health, interceptor, port, tls), registry)
    try:
        grpc_port = await server.start(settings.grpc_port)
    except OSError as error:
        exit_for_address(ServerSettings, "host", "grpc_port", error)

    if tls is not None:
        FailedHandshakes(registry).watch()
    health.set_serving(True)
    log.info("server.start.complete", grpc_port=grpc_port, metrics_port=metrics_port)

    watching = asyncio.create_task(server.watch(on_lost=stop.set))
    await stop.wait()
    watching.cancel()

    log.info("server.drain.started", grace_seconds=settings.grace_seconds)
    health.set_serving(False)
    await asyncio.sleep(settings.drain_delay_seconds)
    pace.stop()
    await server.stop(settings.grace_seconds)
    try:
        async with asyncio.timeout(HANDLERS_WITHIN_SECONDS):
            await interceptor.handlers_ended()
    except TimeoutError:
        log.error("server.drain.unfinished", within_seconds=HANDLERS_WITHIN_SECONDS)
        leave(1)
    log.info("server.drain.complete")
    if server.lost:
        raise SystemExit(1)
