"""Entry point: settings, logging, metrics, gRPC; read until a signal."""

from __future__ import annotations

import asyncio

import structlog

from flowcontrol import FlowControlClientInterceptor
from servicekit.descriptors import raise_descriptor_limit
from servicekit.lifetime import stop_on_signals
from servicekit.logs.lines import configure_logging
from servicekit.metrics.port import new_registry, serve_metrics
from servicekit.metrics.tls import metrics_context
from servicekit.settings import exit_for_address, load_settings
from servicekit.tls.expiry import CertificateExpiry
from servicekit.tls.files import Reloaded
from stock_client.connection import read_for_ever
from stock_client.metrics.client import ClientMetrics
from stock_client.metrics.presence import Presence
from stock_client.reading.stream import StreamReader, count_in
from stock_client.reading.update_log import UpdateLog
from stock_client.settings import ClientSettings

log = structlog.get_logger()


def main() -> None:
    """Run the stock client; the command `stock-client`."""
    settings = load_settings(ClientSettings)
    configure_logging(settings, service="client")
    raise_descriptor_limit()
    asyncio.run(run(settings))


async def run(settings: ClientSettings) -> None:
    """Read updates until SIGTERM or SIGINT. Ends the program with exit status 2 where the port is taken."""
    stop = stop_on_signals()

    registry = new_registry()
    presence = Presence(settings.ready_within_seconds)
    name = settings.proven_name
    metrics = ClientMetrics(registry, name, presence, settings.keepalive_time_seconds)
    interceptor = FlowControlClientInterceptor(name, settings.window, registry=registry, count_of=count_in)
    tls, metrics_tls = Reloaded.of(settings.tls), Reloaded.of(settings.metrics_tls)
    registry.register(CertificateExpiry([tls, metrics_tls]))
    try:
        metrics_port = serve_metrics(
            registry,
            settings.metrics_host,
            settings.metrics_port,
            presence.problem,
            metrics_context(metrics_tls),
        )
    except OSError as error:
        exit_for_address(ClientSettings, "metrics_host", "metrics_port", error)

    update_log = UpdateLog(settings.log_updates_per_second) if settings.log_updates else None
    reader = StreamReader(
        settings.schedule,
        metrics,
        policy=settings.policy,
        batches=settings.batches,
        update_log=update_log,
        max_tickers=settings.max_tickers,
    )
    reading = asyncio.create_task(read_for_ever(settings, interceptor, reader, metrics, tls))
    stopping = asyncio.create_task(stop.wait())
    log.info(
        "client.start.complete",
        name=name,
        server_address=settings.server_address,
        window_bytes=str(settings.window),
        metrics_port=metrics_port,
    )
    await asyncio.wait((reading, stopping), return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    while not reading.done():
        reading.cancel()  # not only once: at a stream's end, grpc may take the cancellation for its own
        await asyncio.wait((reading,), timeout=0.5)
    if not reading.cancelled():
        reading.result()  # raises what ended it
    if update_log is not None:
        update_log.close()
    log.info("client.stop.complete", updates=reader.updates)
