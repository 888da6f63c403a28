"""The page of metrics, rendered once for all scrapers that wait for it, and never older than their request."""

from __future__ import annotations

import asyncio
import gzip
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from servicekit.metrics.exposition import Encode, encode_family

SAMPLE_SUFFIXES = ("", "_total", "_sum", "_count", "_bucket", "_info")
"""What a sample's name has behind the metric's (the OpenMetrics specification), so that a filter takes both."""

_NOTHING = CollectorRegistry()
"""Encoded, what ends a page."""


@dataclass(frozen=True)
class Page:
    """What a scraper gets."""

    content_type: str
    body: bytes


Key: TypeAlias = tuple[str, frozenset[str], bool]


class MetricsPage:
    """Renders a registry, in the loop that it is asked from, for half of the time at most.

    After each page it rests as long as that took. Who comes meanwhile shares the next one with all who want the same.
    """

    def __init__(self, registry: CollectorRegistry, clock: Callable[[], float] = time.monotonic) -> None:
        self._registry = registry
        self._clock = clock
        self._coming: dict[Key, asyncio.Task[Page]] = {}
        self._rests_until = 0.0
        self._turn = asyncio.Lock()

    async def get(self, accept: str = "", names: frozenset[str] = frozenset(), *, compressed: bool = False) -> Page:
        """Return a page of all that has been counted until now. Raises what a collector raises.

        `accept` is the HTTP header of that name, `names` those of metrics or of their samples; none: all.
        """
        encode, content_type = _encoder(accept)
        key = (content_type, names, compressed)
        if key not in self._coming:
            self._coming[key] = asyncio.create_task(self._render(key, encode))
        return await asyncio.shield(self._coming[key])  # one who goes away does not take the page from the others

    async def _render(self, key: Key, encode: Encode) -> Page:
        await asyncio.sleep(0)  # those whose request has been read already share this page
        async with self._turn:
            while (rest := self._rests_until - self._clock()) > 0:  # noqa: ASYNC110 - time passes without an event
                await asyncio.sleep(rest)
            del self._coming[key]
            began_at = self._clock()
            try:
                return await self._written(key, encode)
            finally:
                ended_at = self._clock()
                self._rests_until = ended_at + (ended_at - began_at)

    async def _written(self, key: Key, encode: Encode) -> Page:
        """Read all at one moment, and write it family by family, between which others get turns."""
        content_type, names, compressed = key
        families = list((self._restricted_to(names) if names else self._registry).collect())
        parts = []
        for family in families:
            parts.append(encode_family(encode, family))
            await asyncio.sleep(0)
        body = b"".join([*parts, encode(_NOTHING)])
        return Page(content_type, gzip.compress(body, 1) if compressed else body)

    def _restricted_to(self, names: frozenset[str]) -> Collector:
        return self._registry.restricted_registry({name + suffix for name in names for suffix in SAMPLE_SUFFIXES})


def _encoder(accept: str) -> tuple[Encode, str]:
    try:
        return choose_encoder(accept)
    except (TypeError, ValueError):  # a version that is none
        return choose_encoder("")
