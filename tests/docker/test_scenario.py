from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.docker, pytest.mark.timeout(240)]

PROJECT = "backpressure-scenario-fast"


def test_the_fast_experiment_runs_and_leaves_nothing_behind(compose: Any, images: dict[str, Any], tmp_path: Path):
    done = subprocess.run(
        [sys.executable, "-m", "lab", "scenario", "fast", "--seconds", "20", "--no-snapshot", "--out", str(tmp_path)],
        capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    verdict = json.loads((tmp_path / "scenario-fast" / "verdict.json").read_text())
    assert verdict["passed"]
    assert verdict["acts"][0]["sent"] > 100

    label = f"label=com.docker.compose.project={PROJECT}"
    for kind in (("ps", "--all"), ("volume", "ls"), ("network", "ls")):
        assert compose.docker(*kind, "--quiet", "--filter", label).stdout == ""
