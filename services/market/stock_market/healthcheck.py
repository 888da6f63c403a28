"""The command `stock-market-health`: asks the market on this host whether it is ready."""

from __future__ import annotations

from servicekit.healthcheck import exit_with_health, readiness_problem, setting
from stock_market.address import METRICS_HOST, METRICS_PORT


def main() -> None:
    """Exit with status 0 where the market is ready, else with 1 and the reason; reads the market's own variables."""
    host = setting("STOCK_MARKET_METRICS_HOST", METRICS_HOST)
    port = setting("STOCK_MARKET_METRICS_PORT", METRICS_PORT)
    certificate, key = setting("STOCK_MARKET_METRICS_TLS_CERTIFICATE", ""), setting("STOCK_MARKET_METRICS_TLS_KEY", "")
    exit_with_health("stock-market-health", readiness_problem(host, port, certificate, key))
