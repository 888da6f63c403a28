"""The experiments' watching and judging on real services; that Compose runs them is tested in tests/docker."""

from __future__ import annotations

import asyncio
import io
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from lab.console import Bar
from lab.stack.compose import Stack, port_near
from lab.stack.scenario import ScenarioSettings, judge, watch

from processes import clean_environment, free_port
from waiting import until_blocking


def watch_it(watched: Any, experiment: str) -> tuple[Any, str]:
    """Return the client after twenty seconds of its stream, and what was said meanwhile."""
    said = io.StringIO()
    settings = ScenarioSettings(experiment=experiment, seconds=20)  # type: ignore[arg-type]
    client = asyncio.run(watch(watched.prometheus_url, settings, Bar(Console(file=said, width=200), "scenario")))
    return client, said.getvalue()


def test_the_fast_client_processes_what_is_sent(watched: Any):
    client, _ = watch_it(watched, "fast")
    verdict = judge("fast", client)
    assert verdict.passed, [claim for act in verdict.acts for claim in act.claims if not claim.passed]
    assert client.name == "client-0"
    assert verdict.acts[0].sent > 200


def test_sent_to_the_slow_client_stops_where_predicted(watched: Any):
    client, said = watch_it(watched, "slow")
    verdict = judge("slow", client)
    assert verdict.passed, [claim for act in verdict.acts for claim in act.claims if not claim.passed]
    (act,) = verdict.acts
    predicted = round(client.last("ceiling") + client.last("processed"))
    assert act.claims[0].claim.endswith(f"processed = {predicted:,}")
    assert act.sent == pytest.approx(predicted, rel=0.5)
    # a reader gives its window back in halves, or at a ping: between the two, less than a window is in flight
    assert act.received < act.sent - 0.5 * client.last("ceiling") + 1
    assert not said or "predicted ceiling" in said


def test_what_is_sent_counts_from_when_the_server_was_asked_too(watched: Any):
    client, _ = watch_it(watched, "fast")
    first, *others = client.moments
    unasked = replace(first, figures={name: value for name, value in first.figures.items() if name != "sent"})
    (act,) = judge("fast", replace(client, moments=[unasked, *others])).acts
    assert act.claims[0].claim == "sent"
    assert act.claims[0].passed, act.claims[0]


def test_the_fast_client_is_no_slow_one(watched: Any):
    client, _ = watch_it(watched, "fast")
    failed = [claim.claim for claim in judge("slow", client).acts[0].claims if not claim.passed]
    assert any(claim.startswith("sent stops; predicted:") for claim in failed)
    assert "seconds held back" in failed


def test_without_docker_it_ends_in_one_line(tmp_path: Path):
    environment = clean_environment(PATH=str(tmp_path))
    done = subprocess.run(
        [sys.executable, "-m", "lab", "scenario", "slow", "--out", str(tmp_path)],
        capture_output=True, text=True, env=environment, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == (
        "lab scenario: docker is not there: it takes Docker with Compose, and a checkout of the repository\n"
    )


def test_when_docker_fails_its_last_words_are_told(tmp_path: Path):
    fake = tmp_path / "docker"
    fake.write_text("#!/bin/sh\necho building >&2\necho no space left on device >&2\nexit 17\n")
    fake.chmod(0o755)
    environment = clean_environment(PATH=f"{tmp_path}:/bin:/usr/bin")
    done = subprocess.run(
        [sys.executable, "-m", "lab", "scenario", "fast", "--out", str(tmp_path)],
        capture_output=True, text=True, env=environment, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "no space left on device; see " in done.stderr


def test_a_port_that_is_taken_is_not_used(tmp_path: Path):
    free = free_port()
    assert port_near(free) == free
    server = subprocess.Popen([sys.executable, "-m", "http.server", str(free), "--bind", "127.0.0.1"], stderr=-3)
    try:
        assert until_blocking(lambda: port_near(free), lambda port: port != free) != 0
    finally:
        server.kill()
        server.wait()


def test_settings_of_the_shell_do_not_reach_the_experiment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("STOCK_SERVER_PADDING_BYTES", "9999")
    monkeypatch.setenv("SLOW_CLIENT_POLICY", "conflate")
    monkeypatch.setenv("PROMETHEUS_IMAGE", "mine")
    environment = Stack("project", {"SLOW_CLIENT_POLICY": "pause"}, tmp_path / "log").environment
    assert "STOCK_SERVER_PADDING_BYTES" not in environment
    assert (environment["SLOW_CLIENT_POLICY"], environment["PROMETHEUS_IMAGE"]) == ("pause", "mine")
