"""Claims, checked from measured numbers, and what they add up to."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

MOST_ACTS_IN_TABLE = 6
"""With more of them the table shows those that fail, the first and the last."""


@dataclass(frozen=True)
class Claim:
    """A sentence that holds or does not, with what was measured and what was expected."""

    claim: str
    measured: str
    expected: str
    passed: bool


def between(claim: str, measured: float, low: float, high: float, unit: str = "") -> Claim:
    """Claim that a measured figure is at least `low` and at most `high`."""
    return Claim(claim, _figure(measured, unit), f"{_figure(low)} to {_figure(high, unit)}", low <= measured <= high)


def at_most(claim: str, measured: float, limit: float, unit: str = "") -> Claim:
    """Claim that a measured figure does not pass a limit."""
    return Claim(claim, _figure(measured, unit), f"at most {_figure(limit, unit)}", measured <= limit)


def at_least(claim: str, measured: float, limit: float, unit: str = "") -> Claim:
    """Claim that a measured figure reaches a limit."""
    return Claim(claim, _figure(measured, unit), f"at least {_figure(limit, unit)}", measured >= limit)


def _figure(number: float, unit: str = "") -> str:
    if math.isnan(number):
        return "no data"
    text = (
        f"{number:,.0f}" if float(number).is_integer() else f"{number:,.3g}" if abs(number) < 100 else f"{number:,.0f}"
    )
    return f"{text} {unit}".rstrip()


@dataclass(frozen=True)
class ActVerdict:
    """What one act has shown; None: not known."""

    name: str
    passed: bool
    sent: int | None
    received: int | None
    missed: int | None
    in_flight_max: int | None
    in_flight_bytes_max: int | None
    ceiling_bytes: int | None
    claims: Sequence[Claim]


@dataclass(frozen=True)
class Verdict:
    """What all acts have shown."""

    passed: bool
    window_bytes: int
    acts: Sequence[ActVerdict]

    def write_json(self, path: Path) -> None:
        """Write the verdict as `{"passed", "window_bytes", "acts": [...]}`."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=2) + "\n")

    def print_table(self, console: Console) -> None:
        """Print a row for each claim."""
        window = f" for a window of {self.window_bytes:,} bytes" if self.window_bytes else ""
        table = Table(title=f"Verdict{window}", title_justify="left")
        for column, justify in (("act", "left"), ("claim", "left"), ("measured", "right"), ("expected", "right")):
            table.add_column(column, justify=justify)  # type: ignore[arg-type]
        table.add_column("")
        for act in self.acts:
            for number, claim in enumerate(act.claims):
                mark = "[green]holds[/]" if claim.passed else "[bold red]FAILS[/]"
                name = act.name if number == 0 else ""
                table.add_row(name, claim.claim, claim.measured, claim.expected, mark)
            table.add_section()
        console.print(table)


def report(verdict: Verdict, path: Path, console: Console) -> int:
    """Write the verdict to `path`, and print it; return the exit status: 0 where all claims hold, else 1."""
    verdict.write_json(path)
    shown = _shown(verdict.acts)
    Verdict(verdict.passed, verdict.window_bytes, shown).print_table(console)
    if len(shown) < len(verdict.acts):
        console.print(f"{len(verdict.acts) - len(shown)} more, of which all claims hold", highlight=False)
    console.print(f"verdict {path}", highlight=False)
    console.print("[green]All claims hold.[/]" if verdict.passed else "[bold red]Not all claims hold.[/]")
    return 0 if verdict.passed else 1


def _shown(acts: Sequence[ActVerdict]) -> list[ActVerdict]:
    if len(acts) <= MOST_ACTS_IN_TABLE:
        return list(acts)
    return [act for number, act in enumerate(acts) if not act.passed or number in (0, len(acts) - 1)]
