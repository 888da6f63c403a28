"""Turn ledgers into Prometheus series, at every scrape."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Generic
from weakref import WeakKeyDictionary

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry

from flowcontrol.books.ledger import BookType, Ledger
from flowcontrol.metrics.declared import DeclaredMetric, LedgerMetric, MethodMetric, SplitMetric


class LedgerCollector(Collector, Generic[BookType]):
    """Turns a ledger's statement into Prometheus series, so that they are right also in the middle of a write."""

    def __init__(self, ledger: Ledger[BookType], metrics: tuple[DeclaredMetric[BookType], ...]) -> None:
        self._ledger = ledger
        self._metrics = metrics

    def describe(self) -> Iterator[Metric]:
        """Yield the metrics without samples, so that registering does not read the ledger."""
        for metric in self._metrics:
            yield _family(metric)

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics as they stand."""
        statement = self._ledger.statement()
        for metric in self._metrics:
            family = _family(metric)
            if isinstance(metric, LedgerMetric):
                family.add_metric([], metric.read(self._ledger))
            elif isinstance(metric, MethodMetric):
                for method, tally in statement.methods.items():
                    if (count := metric.read(tally)) is not None:
                        family.add_metric([method], count)
            elif isinstance(metric, SplitMetric):
                for key, account in statement.accounts.items():
                    for value, figure in metric.read(account, statement.now).items():
                        family.add_metric([*key, value], figure)
            else:
                for key, account in statement.accounts.items():
                    if (figure_or_none := metric.read(account, statement.now)) is not None:
                        family.add_metric(list(key), figure_or_none)
            yield family


def _family(metric: DeclaredMetric[Any]) -> CounterMetricFamily | GaugeMetricFamily:
    family = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    return family(metric.name, metric.help, labels=metric.labels)


_registered: WeakKeyDictionary[CollectorRegistry, dict[str, Ledger[Any]]] = WeakKeyDictionary()
"""The ledgers that registries have metrics of, by the name of the first of these."""


def ledger_of(
    registry: CollectorRegistry | None,
    ledger: Ledger[BookType] | None,
    book_type: type[BookType],
    metrics: tuple[DeclaredMetric[BookType], ...],
) -> Ledger[BookType]:
    """Return the ledger to write to, whose metrics are in `registry`: the given one, the registry's, or a new one.

    Raises ValueError: the registry has the metrics of another ledger.
    """
    if registry is None:
        return Ledger(book_type) if ledger is None else ledger
    ledgers = _registered.setdefault(registry, {})
    known = ledgers.get(metrics[0].name)
    if known is None:
        known = Ledger(book_type) if ledger is None else ledger
        registry.register(LedgerCollector(known, metrics))
        ledgers[metrics[0].name] = known
    elif ledger is not None and ledger is not known:
        raise ValueError(
            "this registry has the metrics of another ledger already; "
            "give both interceptors the same ledger, or a registry each"
        )
    return known
