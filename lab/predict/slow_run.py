"""A slow client of the real server, and what it logs of every update: its age, and when it was done with it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path


@dataclass(frozen=True)
class Processed:
    """An update that a client has processed."""

    at_seconds: float
    """Seconds since its first one."""
    age_seconds: float
    sequence: int


def processed_in(log_path: Path) -> list[Processed]:
    """Return the updates that a client's JSON log tells of, in order."""
    lines = [line for line in log_path.read_text().splitlines() if '"update.processed"' in line and line.endswith("}")]
    events = [json.loads(line) for line in lines]
    moments = [datetime.fromisoformat(event["timestamp"]).timestamp() for event in events]
    return [
        Processed(moment - moments[0], event["age_seconds"], event["sequence"])
        for moment, event in zip(moments, events, strict=True)
    ]


def pace_seconds(updates: Sequence[Processed]) -> float:
    """Return what the client really took for an update, in the mean: a busy machine makes it slower than told."""
    return (updates[-1].at_seconds - updates[0].at_seconds) / (len(updates) - 1)
