"""`lab verify` on a real Prometheus that watches real services; each bad state ends in one line."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from processes import clean_environment, free_port
from prometheus_tools import running_prometheus
from waiting import until_blocking

SPAN_SECONDS = "5"


def start(*arguments: str, **variables: str) -> subprocess.Popen[str]:
    lab = [sys.executable, "-m", "lab", "verify", *arguments]
    environment = clean_environment(PYTHONUNBUFFERED="1", **variables)
    return subprocess.Popen(lab, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def verify(url: str, out: Path, *arguments: str) -> tuple[int, str, str]:
    """Return the exit status, the output and the errors of `lab verify`."""
    process = start("--prometheus-url", url, "--span-seconds", SPAN_SECONDS, "--out", str(out), *arguments)
    output, errors = process.communicate(timeout=50)
    return process.returncode, output, errors


def acts(out: Path) -> dict[str, Any]:
    return {act["name"]: act for act in json.loads((out / "verdict.json").read_text())["acts"]}


def failed(act: Any) -> list[str]:
    return [claim["claim"] for claim in act["claims"] if not claim["passed"]]


def test_it_waits_until_there_is_enough_and_proves_it(watched: Any, tmp_path: Path):
    status, output, errors = verify(watched.prometheus_url, tmp_path)
    assert (status, errors) == (0, ""), output
    assert "verify: wants 5 s of data of each client" in output
    assert "All claims hold." in output

    verdict = json.loads((tmp_path / "verdict.json").read_text())
    assert (verdict["passed"], verdict["window_bytes"]) == (True, 16_384)
    fast, slow = acts(tmp_path)["client-0"], acts(tmp_path)["slow-client-0"]
    assert 0.9 * slow["ceiling_bytes"] <= slow["in_flight_bytes_max"] <= 2 * 16_384 + 2 * 250
    assert slow["received"] < fast["received"] / 2
    assert fast["missed"] == slow["missed"] == 0


def test_clients_in_the_wrong_part_fail(watched: Any, tmp_path: Path):
    status, output, errors = verify(
        watched.prometheus_url, tmp_path, "--fast", "slow-client", "--slow", "client-0", "--timeout-seconds", "3"
    )
    assert (status, errors) == (1, "")
    assert "Not enough data after 3 s" in output
    assert "Not all claims hold." in output
    assert {"in flight, at any time", "share of time that writes are blocked"} <= set(
        failed(acts(tmp_path)["slow-client-0"])
    )
    assert "seconds held back" in failed(acts(tmp_path)["client-0"])


def test_a_client_that_is_not_there_ends_in_one_line(watched: Any, tmp_path: Path):
    status, _, errors = verify(watched.prometheus_url, tmp_path, "--slow", "other", "--timeout-seconds", "1")
    assert status == 2
    assert errors == (
        "lab verify: Prometheus knows no client other or other-*, but client-0, slow-client-0; see lab verify --help\n"
    )


def test_where_prometheus_does_not_answer_it_ends_in_one_line(tmp_path: Path):
    url = f"http://127.0.0.1:{free_port()}"
    status, _, errors = verify(url, tmp_path)
    assert (status, errors.count("\n")) == (2, 1)
    assert errors.startswith(f"lab verify: Prometheus does not answer at {url}: ")
    assert not (tmp_path / "verdict.json").exists()


def test_what_is_no_prometheus_ends_in_one_line(watched: Any, tmp_path: Path):
    status, _, errors = verify(watched.server_metrics_url, tmp_path)
    assert status == 2
    assert errors.startswith(f"lab verify: what answers at {watched.server_metrics_url} is no Prometheus: HTTP ")


def test_another_prometheus_is_not_taken_for_the_stacks(tmp_path: Path):
    with running_prometheus(tmp_path, "global: {scrape_interval: 1s}\n") as other:
        status, output, errors = verify(other.url, tmp_path)
    assert (status, output) == (2, "")
    assert errors == (
        f"lab verify: Prometheus at {other.url} is not the stack's: no rule of it records "
        "client:flowcontrol_state:code (obs/prometheus/rules); --prometheus-url (LAB_VERIFY_PROMETHEUS_URL) names it\n"
    )


def test_unless_told_it_asks_where_the_stacks_setting_says(tmp_path: Path):
    port = free_port()
    process = start("--out", str(tmp_path), PATH=str(tmp_path), PROMETHEUS_PORT=str(port))
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 2
    assert errors.startswith(f"lab verify: Prometheus does not answer at http://127.0.0.1:{port}: ")
    assert errors.endswith(
        f"; PROMETHEUS_PORT={port} names it, --prometheus-url (LAB_VERIFY_PROMETHEUS_URL) names another\n"
    )


def test_a_login_in_the_address_is_not_shown(tmp_path: Path):
    port = free_port()
    _, _, errors = verify(f"http://somebody:secret@127.0.0.1:{port}", tmp_path)
    assert f"http://127.0.0.1:{port}:" in errors
    assert "secret" not in errors


def test_ctrl_c_ends_it_at_once_and_in_silence(watched: Any, tmp_path: Path):
    process = start("--prometheus-url", watched.prometheus_url, "--span-seconds", "3600", "--out", str(tmp_path))
    lines: list[str] = []
    assert process.stdout is not None
    until_blocking(
        lambda: lines.append(process.stdout.readline() if process.stdout else "") or lines,
        lambda seen: any(
            "of 7200 s of data" in line or "window fills" in line or "held back" in line for line in seen[1:]
        ),
        within_seconds=20,
    )
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=10)
    assert (process.returncode, errors) == (130, "")
