"""Which streams the server takes, and for how long: the limits that it keeps itself, each counted when it is hit."""

from __future__ import annotations

import asyncio
import random
from collections import Counter as Counts
from dataclasses import dataclass
from typing import Any, TypeAlias

import grpc
from prometheus_client import CollectorRegistry, Counter

from flowcontrol import MeasuredStream, current_stream
from stock_server.credentials import certified_name

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

LIMITS_HIT = "stock_server_limits_hit"

METADATA_ENTRY_BYTES = 32
"""What an entry of a header list counts besides its name and value (RFC 9113, section 6.5.2)."""

AGE_JITTER = 0.1
"""Streams that began together do not end together, as grpc does it with connections."""


class StreamRefusedError(Exception):
    """A limit is reached."""

    code = grpc.StatusCode.RESOURCE_EXHAUSTED

    def __init__(self, details: str) -> None:
        super().__init__(details)
        self.details = details


@dataclass(frozen=True)
class StreamLimits:
    """What streams there may be."""

    max_streams: int
    max_streams_per_client: int = 1_000_000
    max_age_seconds: float = 0.0
    """0: no stream is too old."""
    max_metadata_bytes: int = 1_000_000


@dataclass(frozen=True, slots=True)
class _Stream:
    client: str
    ending: asyncio.TimerHandle | None


class Admission:
    """Counts the streams of all and of each client."""

    def __init__(self, limits: StreamLimits, registry: CollectorRegistry | None = None) -> None:
        self._limits = limits
        self._open: dict[Context, _Stream] = {}
        self._streams_of: Counts[str] = Counts()
        self._hits = Counter(LIMITS_HIT, "Streams refused or ended by a limit, by limit.", ["limit"], registry=registry)
        for limit in ("streams", "client_streams", "metadata", "age"):
            self._hits.labels(limit)

    @property
    def streams(self) -> int:
        """Streams open now."""
        return len(self._open)

    def admit(self, context: Context) -> None:
        """Count a stream in. Raises StreamRefusedError where it is one too many, or asks too much."""
        stream = current_stream()
        client = certified_name(context, "") or stream.book.identity.client
        self._check(client, context.invocation_metadata() or ())
        self._open[context] = _Stream(client, self._end_when_old(stream))
        self._streams_of[client] += 1

    def leave(self, context: Context) -> None:
        """Count a stream out, if it was admitted."""
        stream = self._open.pop(context, None)
        if stream is None:
            return
        if stream.ending is not None:
            stream.ending.cancel()
        self._streams_of[stream.client] -= 1
        if not self._streams_of[stream.client]:
            del self._streams_of[stream.client]

    def _check(self, client: str, metadata: Any) -> None:
        limits = self._limits
        if self.streams >= limits.max_streams:
            self._refuse("streams", f"the server has its {limits.max_streams} streams open already")
        if self._streams_of[client] >= limits.max_streams_per_client:
            most = limits.max_streams_per_client
            self._refuse("client_streams", f"the client '{client}' has its {most} streams open already")
        size = sum(len(key) + len(value) + METADATA_ENTRY_BYTES for key, value in metadata)
        if size > limits.max_metadata_bytes:
            self._refuse(
                "metadata", f"the request has {size} bytes of metadata; the most is {limits.max_metadata_bytes}"
            )

    def _refuse(self, limit: str, details: str) -> None:
        self._hits.labels(limit).inc()
        raise StreamRefusedError(details)

    def _end_when_old(self, stream: MeasuredStream) -> asyncio.TimerHandle | None:
        most = self._limits.max_age_seconds
        if not most:
            return None

        def end() -> None:
            self._hits.labels("age").inc()
            stream.cut(grpc.StatusCode.UNAVAILABLE, f"the stream has lasted for {most:g} s; open another one")

        drawn = most * random.uniform(1 - AGE_JITTER, 1 + AGE_JITTER)  # noqa: S311 - a time, not a secret
        return asyncio.get_running_loop().call_later(drawn, end)
