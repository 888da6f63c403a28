"""A figure of the benchmark: a ratio to something measured in the same run, its spread, and its aim."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Measure:
    """One row."""

    part: str
    what: str
    value: float
    """A ratio, where `unit` says 'x', else in that unit."""
    unit: str
    least: float
    most: float
    """Over the rounds."""
    detail: str
    """The figures behind it, with their units."""
    at_least: float | None = None
    at_most: float | None = None

    @property
    def aim(self) -> str:
        """The aim, as the table shows it."""
        if self.at_least is not None:
            return f"≥ {self.at_least:g}"
        return "" if self.at_most is None else f"≤ {self.at_most:g}"

    @property
    def met(self) -> bool | None:
        """Whether the aim is met; None: there is none."""
        if self.at_least is not None:
            return self.value >= self.at_least
        return None if self.at_most is None else self.value <= self.at_most


def ratio(
    part: str,
    what: str,
    ours: Sequence[float],
    others: Sequence[float],
    detail: str,
    *,
    at_least: float | None = None,
    at_most: float | None = None,
) -> Measure:
    """Return the median of the rounds' ratios: each round's figures were measured side by side."""
    ratios = [a / b for a, b in zip(ours, others, strict=True)]
    return Measure(
        part, what, round(statistics.median(ratios), 4), "x", round(min(ratios), 4), round(max(ratios), 4),
        detail, at_least, at_most,
    )  # fmt: skip


def figure(part: str, what: str, values: Sequence[float], unit: str, detail: str = "", **aim: float) -> Measure:
    """Return the median of a figure that is no ratio."""
    return Measure(
        part, what, round(statistics.median(values), 4), unit, round(min(values), 4), round(max(values), 4), detail,
        aim.get("at_least"), aim.get("at_most"),
    )  # fmt: skip
