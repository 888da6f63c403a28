"""Entry point: settings, logging, metrics; make updates until a signal."""

from __future__ import annotations

import asyncio

import structlog

from servicekit.descriptors import raise_descriptor_limit
from servicekit.errors import exit_with
from servicekit.lifetime import stop_on_signals
from servicekit.logs.lines import configure_logging
from servicekit.metrics.port import new_registry, serve_metrics
from servicekit.metrics.tls import metrics_context
from servicekit.settings import exit_for_address, load_settings, names_of
from servicekit.tls.expiry import CertificateExpiry
from servicekit.tls.files import Reloaded
from stock_market.market import Market
from stock_market.metrics import MarketMetrics
from stock_market.settings import MarketSettings
from stockfeed.address import without_secrets
from stockfeed.connection import StreamRefusedError
from stockfeed.pace import Pace
from stockfeed.source import StockSource

log = structlog.get_logger()


def main() -> None:
    """Run the market; the command `stock-market`."""
    settings = load_settings(MarketSettings)
    configure_logging(settings, service="market")
    raise_descriptor_limit()
    asyncio.run(run(settings))


async def run(settings: MarketSettings) -> None:
    """Make updates until SIGTERM or SIGINT. Ends the program with exit status 2 where a setting cannot be."""
    stop = stop_on_signals()

    registry = new_registry()
    pace = Pace(settings.update_interval_seconds)
    market = Market(
        settings.feed,
        settings.stream,
        settings.bounds,
        pace,
        lambda: [StockSource(ticker, settings.padding_bytes) for ticker in settings.ticker_list],
        MarketMetrics(registry),
        silence_seconds=settings.silence_seconds,
        backoff_max_seconds=settings.backoff_max_seconds,
    )
    metrics_tls = Reloaded.of(settings.metrics_tls)
    registry.register(CertificateExpiry([metrics_tls]))
    try:
        metrics_port = serve_metrics(
            registry, settings.metrics_host, settings.metrics_port, market.problem, metrics_context(metrics_tls)
        )
    except OSError as error:
        exit_for_address(MarketSettings, "metrics_host", "metrics_port", error)

    making = asyncio.create_task(market.run())
    stopping = asyncio.create_task(stop.wait())
    log.info("market.start.complete", feed=without_secrets(settings.feed), metrics_port=metrics_port)
    await asyncio.wait((making, stopping), return_when=asyncio.FIRST_COMPLETED)
    pace.stop()
    if not making.done():
        _, late = await asyncio.wait((making,), timeout=ENDS_WITHIN_SECONDS)
        for task in late:
            task.cancel()
    try:
        await making
    except asyncio.CancelledError:
        log.warning("market.stop.late", reason="NATS has not answered")
    except StreamRefusedError as refused:
        exit_with(
            "stock-market", f"{names_of(MarketSettings, 'stream')}: NATS does not have {settings.stream} so: {refused}"
        )
    finally:
        stopping.cancel()
    log.info("market.stop.complete")


ENDS_WITHIN_SECONDS = 2.0
"""What is being stored on SIGTERM has so long to be acknowledged."""
