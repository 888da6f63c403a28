"""A pool of threads for a synchronous server that tells how many are at work, and how many blocked writes hold."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import ClassVar, ParamSpec, TypeVar
from weakref import WeakKeyDictionary, WeakSet

from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry

from flowcontrol.sync.meter import LockedSendMeter

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

_here = threading.local()
"""`pool`: the one that this thread works for."""


class MeasuredThreadPool(ThreadPoolExecutor):
    """A thread pool to make a `grpc.server` with, which exports its figures to `registry`.

    A stream holds a thread from its first message to its end, so a server has no thread for any other call once
    `max_workers` streams are open, whoever holds them back. `name` tells apart the pools of one registry. Raises
    ValueError: `max_workers` is less than 1.
    """

    def __init__(self, max_workers: int, *, registry: CollectorRegistry | None = None, name: str = "grpc") -> None:
        super().__init__(max_workers, thread_name_prefix=name)
        self.name = name
        self.max_workers = max_workers
        self._counting = threading.Lock()
        self._waiting = 0
        self._busy = 0
        self._meters: set[LockedSendMeter] = set()
        if registry is not None:
            _collector_of(registry).pools.add(self)

    def submit(
        self, fn: Callable[Parameters, Result], /, *args: Parameters.args, **kwargs: Parameters.kwargs
    ) -> Future[Result]:
        """Have a call done by a thread of the pool, once one is free."""

        def counted() -> Result:
            self._count(waiting=-1, busy=1)
            _here.pool = self
            try:
                return fn(*args, **kwargs)
            finally:
                self._count(busy=-1)

        self._count(waiting=1)
        try:
            future = super().submit(counted)
        except BaseException:
            self._count(waiting=-1)
            raise
        future.add_done_callback(lambda done: self._count(waiting=-1) if done.cancelled() else None)
        return future

    @property
    def busy_threads(self) -> int:
        """How many threads are in a call."""
        return self._busy

    @property
    def waiting_calls(self) -> int:
        """How many calls wait for a thread."""
        return self._waiting

    @property
    def blocked_threads(self) -> int:
        """How many threads are in a write that flow control holds back."""
        with self._counting:
            meters = list(self._meters)
        return sum(meter.blocked_seconds > 0 for meter in meters)

    def enter(self, meter: LockedSendMeter) -> None:
        """Take in that a thread writes a stream."""
        with self._counting:
            self._meters.add(meter)

    def leave(self, meter: LockedSendMeter) -> None:
        """Take in that it writes it no more."""
        with self._counting:
            self._meters.discard(meter)

    def _count(self, waiting: int = 0, busy: int = 0) -> None:
        with self._counting:
            self._waiting += waiting
            self._busy += busy


def pool_here() -> MeasuredThreadPool | None:
    """Return the pool that the current thread works for, if it is a measured one."""
    return getattr(_here, "pool", None)


@dataclass(frozen=True)
class PoolMetric:
    """A gauge with the label `pool`, and how to read it off a pool."""

    name: str
    help: str
    read: Callable[[MeasuredThreadPool], int]
    kind: ClassVar[str] = "gauge"
    labels: ClassVar[tuple[str, ...]] = ("pool",)


POOL_METRICS = (
    PoolMetric(
        "flowcontrol_server_pool_threads",
        "Threads that the pool of a synchronous server may have.",
        lambda pool: pool.max_workers,
    ),
    PoolMetric(
        "flowcontrol_server_pool_busy_threads",
        "Threads of the pool that are in a call; an open stream holds one.",
        lambda pool: pool.busy_threads,
    ),
    PoolMetric(
        "flowcontrol_server_pool_blocked_threads",
        "Threads of the pool that are in a write which flow control holds back.",
        lambda pool: pool.blocked_threads,
    ),
    PoolMetric(
        "flowcontrol_server_pool_waiting_calls",
        "Calls that wait for a thread of the pool.",
        lambda pool: pool.waiting_calls,
    ),
)


class PoolCollector(Collector):
    """Turns the figures of a registry's pools into Prometheus series, at every scrape."""

    def __init__(self) -> None:
        self.pools: WeakSet[MeasuredThreadPool] = WeakSet()

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics as they stand; pools of one name are one."""
        pools = list(self.pools)
        for metric in POOL_METRICS:
            family = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
            for name in sorted({pool.name for pool in pools}):
                family.add_metric([name], sum(metric.read(pool) for pool in pools if pool.name == name))
            yield family


_collectors: WeakKeyDictionary[CollectorRegistry, PoolCollector] = WeakKeyDictionary()


def _collector_of(registry: CollectorRegistry) -> PoolCollector:
    collector = _collectors.get(registry)
    if collector is None:
        collector = _collectors[registry] = PoolCollector()
        registry.register(collector)
    return collector
