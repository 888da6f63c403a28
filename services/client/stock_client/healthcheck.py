"""The command `stock-client-health`: asks the client on this host whether it is ready."""

from __future__ import annotations

from servicekit.healthcheck import exit_with_health, readiness_problem, setting
from stock_client.address import METRICS_HOST, METRICS_PORT


def main() -> None:
    """Exit with status 0 where the client is ready, else with 1 and the reason; reads the client's own variables."""
    host = setting("STOCK_CLIENT_METRICS_HOST", METRICS_HOST)
    port = setting("STOCK_CLIENT_METRICS_PORT", METRICS_PORT)
    certificate, key = setting("STOCK_CLIENT_METRICS_TLS_CERTIFICATE", ""), setting("STOCK_CLIENT_METRICS_TLS_KEY", "")
    exit_with_health("stock-client-health", readiness_problem(host, port, certificate, key))
