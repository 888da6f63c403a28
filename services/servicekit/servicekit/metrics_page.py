"""The page of metrics, rendered once for all scrapers that come at once."""

from __future__ import annotations

import gzip
import time
from collections.abc import Callable
from dataclasses import dataclass

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

SHARED_SECONDS = 0.25
"""For how long a page is given to others too: far less than anybody's scrape interval."""

SAMPLE_SUFFIXES = ("", "_total", "_sum", "_count", "_bucket", "_info")
"""What a sample's name has behind the metric's (the OpenMetrics specification), so that a filter takes both."""


@dataclass(frozen=True)
class Page:
    """What a scraper gets."""

    content_type: str
    body: bytes
    rendered_at: float


class MetricsPage:
    """Renders a registry; not to be called from two threads at once."""

    def __init__(self, registry: CollectorRegistry, clock: Callable[[], float] = time.monotonic) -> None:
        self._registry = registry
        self._clock = clock
        self._pages: dict[tuple[str, frozenset[str], bool], Page] = {}

    def get(self, accept: str = "", names: frozenset[str] = frozenset(), *, compressed: bool = False) -> Page:
        """Return the page, that of a moment ago if there is one. Raises what a collector raises.

        `accept` is the HTTP header of that name, `names` those of metrics or of their samples; none: all.
        """
        encode, content_type = _encoder(accept)
        now = self._clock()
        self._pages = {key: page for key, page in self._pages.items() if now - page.rendered_at < SHARED_SECONDS}
        key = (content_type, names, compressed)
        if key not in self._pages:
            body = encode(self._restricted_to(names) if names else self._registry)
            self._pages[key] = Page(content_type, gzip.compress(body, 1) if compressed else body, self._clock())
        return self._pages[key]

    def _restricted_to(self, names: frozenset[str]) -> Collector:
        return self._registry.restricted_registry({name + suffix for name in names for suffix in SAMPLE_SUFFIXES})


def _encoder(accept: str) -> tuple[Callable[[Collector], bytes], str]:
    try:
        return choose_encoder(accept)
    except (TypeError, ValueError):  # a version that is none
        return choose_encoder("")
