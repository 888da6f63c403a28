"""How many updates have been processed, and how old each was then: counted for every update, so by plain numbers."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from itertools import accumulate

from prometheus_client.metrics_core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

AGE_BUCKETS_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1200, 3600)


class ProcessedUpdates(Collector):
    """The original's counter, and a histogram of ages."""

    def __init__(self, client: str) -> None:
        self._client = client
        self._in_bucket = [0] * (len(AGE_BUCKETS_SECONDS) + 1)
        self._age_seconds = 0.0
        self._of_no_known_age = 0

    @property
    def count(self) -> int:
        """How many there have been."""
        return sum(self._in_bucket) + self._of_no_known_age

    def add(self, age_seconds: float) -> None:
        """Count an update that was so old when its processing was done; NaN: that is not known."""
        if age_seconds != age_seconds:  # NaN; `math.isnan` would be a call for each update
            self._of_no_known_age += 1
            return
        self._in_bucket[bisect_left(AGE_BUCKETS_SECONDS, age_seconds)] += 1
        self._age_seconds += age_seconds

    def collect(self) -> Iterator[Metric]:
        """Yield both, of the same moment."""
        *below, all_ = accumulate(tuple(self._in_bucket))
        processed = all_ + self._of_no_known_age
        yield CounterMetricFamily("stock_updates_received", "Stock updates received and processed.", value=processed)
        ages = HistogramMetricFamily(
            "stock_client_update_age_seconds",
            "Age of an update when its processing was done, by the clocks of both hosts.",
            labels=["client"],
        )
        bounds = [str(float(bound)) for bound in AGE_BUCKETS_SECONDS]
        ages.add_metric([self._client], [*zip(bounds, below, strict=True), ("+Inf", all_)], self._age_seconds)
        yield ages
