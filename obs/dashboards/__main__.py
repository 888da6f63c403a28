"""Compile every dashboard to JSON, into the directory named or the one that Grafana is provisioned from."""

from __future__ import annotations

import sys
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from dashboards import backpressure, fleet, runbook

COMPILED = Path(__file__).parents[1] / "grafana" / "dashboards"


def compile_all(directory: Path) -> None:
    """Write `<uid>.json` of every dashboard into `directory`."""
    directory.mkdir(parents=True, exist_ok=True)
    for board in (backpressure.build(), fleet.build(backpressure.ALERT_LIST), runbook.build()):
        text = JSONEncoder(sort_keys=True, indent=1, ensure_ascii=False).encode(board)
        (directory / f"{board.uid}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    compile_all(Path(sys.argv[1]) if len(sys.argv) > 1 else COMPILED)
