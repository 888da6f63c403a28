"""The stock client, which saves on SIGTERM how long each update had taken when it was processed."""

from __future__ import annotations

import os
from pathlib import Path

from lab.bench.programs.stamps import Latencies
from stock_client.main import main
from stock_client.metrics.client import ClientMetrics
from stockservice.stock_pb2 import StockUpdate

PATH_VARIABLE = "LAB_LATENCIES"


def run() -> None:
    """Run the client."""
    latencies, complete = Latencies(), ClientMetrics.complete

    def completed(self: ClientMetrics, update: StockUpdate, now: float) -> float:
        age = complete(self, update, now)
        latencies.note(update)
        return age

    ClientMetrics.complete = completed  # type: ignore[method-assign]
    try:
        main()
    finally:
        latencies.save(Path(os.environ[PATH_VARIABLE]))


if __name__ == "__main__":
    run()
