"""The command `stock-client-health`: asks the client on this host whether it is ready."""

from __future__ import annotations

from servicekit.healthcheck import exit_with_health, readiness_problem
from servicekit.settings import load_settings
from stock_client.settings import ClientSettings


def main() -> None:
    """Exit with status 0 where the client is ready, else with 1 and the reason; reads the client's own settings."""
    settings = load_settings(ClientSettings)
    exit_with_health("stock-client-health", readiness_problem(settings.metrics_host, settings.metrics_port))
