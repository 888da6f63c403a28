"""The command `stock-client-health`: asks whether the client's metrics port answers."""

from __future__ import annotations

from servicekit.healthcheck import exit_with_health, metrics_problem
from servicekit.settings import load_settings
from stock_client.settings import ClientSettings


def main() -> None:
    """Exit with status 0 where the metrics port answers, else with 1 and the reason; reads the client's settings."""
    settings = load_settings(ClientSettings)
    exit_with_health("stock-client-health", metrics_problem(settings.metrics_host, settings.metrics_port))
