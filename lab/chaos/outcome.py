"""What faults have come to: a table, JSON, and an exit status."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from rich.console import Console
from rich.table import Table

from lab.machine import machine
from lab.verdict import Claim


class Status(StrEnum):
    """Whether a fault is survived."""

    HOLDS = "holds"
    FAILS = "FAILS"
    NOT_TESTED = "not tested"


COLOURS = {Status.HOLDS: "green", Status.FAILS: "bold red", Status.NOT_TESTED: "yellow"}


@dataclass(frozen=True)
class Outcome:
    """What one fault has come to."""

    name: str
    fault: str
    status: Status
    reason: str
    """Why it was not tested, or did not come to its end."""
    took_seconds: float
    claims: Sequence[Claim]


def report(outcomes: Sequence[Outcome], quick: bool, path: Path, console: Console) -> int:
    """Write the outcomes to `path`, and print them; return the exit status."""
    path.parent.mkdir(parents=True, exist_ok=True)
    results = {
        "passed": all(outcome.status is Status.HOLDS for outcome in outcomes),
        "ended_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "quick": quick,
        "machine": machine(),
        "rows": [asdict(outcome) for outcome in outcomes],
    }
    path.write_text(json.dumps(results, indent=2) + "\n")
    console.print(_table(outcomes))
    console.print(f"results {path}", highlight=False)
    counts = {status: sum(outcome.status is status for outcome in outcomes) for status in Status}
    told = ", ".join(f"[{COLOURS[status]}]{count} {status}[/]" for status, count in counts.items() if count)
    console.print(f"{len(outcomes)} faults: {told}", highlight=False)
    return 1 if counts[Status.FAILS] else 2 if counts[Status.NOT_TESTED] else 0


def _table(outcomes: Sequence[Outcome]) -> Table:
    table = Table(title="Faults", title_justify="left")
    table.add_column("fault")
    table.add_column("must hold")
    table.add_column("measured", justify="right")
    table.add_column("expected", justify="right")
    table.add_column("")
    for outcome in outcomes:
        mark = f"[{COLOURS[outcome.status]}]{outcome.status}[/]"
        if not outcome.claims:
            table.add_row(outcome.name, outcome.reason, "", "", mark)
        for number, claim in enumerate(outcome.claims):
            held = Status.HOLDS if claim.passed else Status.FAILS
            name = outcome.name if number == 0 else ""
            table.add_row(name, claim.claim, claim.measured, claim.expected, f"[{COLOURS[held]}]{held}[/]")
        table.add_section()
    return table
