"""When certificates end, as a metric: asked at every scrape, which is when a file that has changed is noticed too."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from servicekit.tls.files import Reloaded

EXPIRY = "tls_certificate_expiry_timestamp_seconds"


class CertificateExpiry(Collector):
    """The end of each certificate that is in use, by the setting that names its file."""

    def __init__(self, in_use: Sequence[Reloaded | None]) -> None:
        self._in_use = [reloaded for reloaded in in_use if reloaded is not None]

    def collect(self) -> Iterator[Metric]:
        """Yield the gauge."""
        expiry = GaugeMetricFamily(EXPIRY, "When the certificate in use ends, in Unix time.", labels=["setting"])
        for reloaded in self._in_use:
            presented = reloaded.now().presented
            if presented is not None:
                expiry.add_metric([reloaded.setting], presented.expires_at)
        yield expiry
