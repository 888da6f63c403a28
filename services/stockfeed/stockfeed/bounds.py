"""What a stream of NATS keeps."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class StreamBounds:
    """What a stream keeps at most, and on how many nodes."""

    updates: int
    bytes: int
    age_seconds: float
    replicas: int
