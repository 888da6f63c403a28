"""The runbook as a dashboard, so that a link from an alert to its section holds wherever this Grafana runs.

A panel a section, numbered as the list of alerts numbers them; its text is docs/runbook.md.
"""

from __future__ import annotations

import re
from pathlib import Path

from grafana_foundation_sdk.builders import text
from grafana_foundation_sdk.models import dashboard
from grafana_foundation_sdk.models import text as text_model

from dashboards.alert_list import RUNBOOK_UID, alert_rules
from dashboards.board import GRID_WIDTH, board, panel_address

RUNBOOK = Path(__file__).parents[2] / "docs" / "runbook.md"

LINE_PIXELS, LINE_LETTERS, ROW_PIXELS = 24, 150, 38


def build() -> dashboard.Dashboard:
    """Return the dashboard. Raises KeyError for an alert without a section."""
    sections = dict(part.split("\n", 1) for part in RUNBOOK.read_text(encoding="utf-8").split("\n## ")[1:])
    numbers = {rule["alert"]: number for number, rule in enumerate(alert_rules(), 1)}
    rows = [
        (_height(sections[name]), ((_section(f"{number}. {name}", _linked(sections[name], numbers)), GRID_WIDTH),))
        for name, number in numbers.items()
    ]
    about = "What each alert means, what to look at and what to do: docs/runbook.md."
    return board(RUNBOOK_UID, "Runbook", about, rows).refresh("").build()


def _section(title: str, content: str) -> text.Panel:
    return text.Panel().title(title).mode(text_model.TextMode.MARKDOWN).content(content)


def _linked(section: str, numbers: dict[str, int]) -> str:
    """Return the text with links to other sections as such in Grafana; of those to files only their name is left."""

    def target(found: re.Match[str]) -> str:
        name, to = found[1], found[2]
        by_anchor = {alert.lower(): number for alert, number in numbers.items()}
        if to.startswith("#") and to[1:] in by_anchor:
            return f"[{name}]({panel_address(RUNBOOK_UID, by_anchor[to[1:]])})"
        return found[0] if to.startswith("http") else name

    return re.sub(r"\[([^\]]+)\]\(([^)]+)\)", target, section).strip()


def _height(section: str) -> int:
    lines = sum(1 + len(line) // LINE_LETTERS for line in section.strip().split("\n"))
    return 2 + lines * LINE_PIXELS // ROW_PIXELS
