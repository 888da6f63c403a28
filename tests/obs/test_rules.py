"""The rules themselves, by promtool and its tests in obs/prometheus/tests."""

from __future__ import annotations

import re
import subprocess
from typing import Any

import pytest
import yaml

from observed import MADE_BY_PROMETHEUS, OBS, RULE_TESTS, RULES, declared_metrics, metric_names, queries, rules
from prometheus_tools import command

ALERTS = rules("alert")
RECORDED = rules("record")


@pytest.fixture
def promtool(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # promtool keeps the series of its tests in files
    start = command("promtool", OBS)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run((*start, *arguments), capture_output=True, text=True, check=False, timeout=50)

    return run


def test_promtool_finds_no_fault_in_the_rules(promtool):
    checked = promtool("check", "rules", "--lint=all", "--lint-fatal", *map(str, sorted(RULES.glob("*.yml"))))
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("tests", sorted(RULE_TESTS.glob("*.yml")), ids=lambda path: path.stem)
def test_the_rules_do_what_their_tests_say(tests, promtool):
    tested = promtool("test", "rules", str(tests))
    assert tested.returncode == 0, tested.stdout + tested.stderr
    assert "SUCCESS" in tested.stdout + tested.stderr


@pytest.mark.parametrize(("name", "rule"), [*RECORDED.items(), *ALERTS.items()])
def test_rules_read_only_what_is_declared_or_recorded_above_them_or_their_own_past(name, rule):
    above = list(RECORDED)[: list(RECORDED).index(name)] if name in RECORDED else list(RECORDED)
    assert metric_names(rule["expr"]) - declared_metrics() - MADE_BY_PROMETHEUS <= {name, *above}


OTHERS_HAVE_TOO = r"(?<![\w:\"])(?:up|ALERTS|process_\w+|tls_\w+)(?![\w:\"])(?:\{[^}]*\})?"


def test_what_others_have_too_is_read_of_ours_alone():
    exprs = [rule["expr"] for rule in (*RECORDED.values(), *ALERTS.values())] + [each.expr for each in queries()]
    read = [found for expr in exprs for found in re.findall(OTHERS_HAVE_TOO, expr)]
    assert len(read) > 30
    assert not [found for found in read if 'app="backpressure"' not in found]


def test_alerts_say_whose_they_are():
    assert {rule["labels"]["app"] for rule in ALERTS.values()} == {"backpressure"}


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_names_tell_level_metric_and_operation(name):
    assert re.fullmatch(r"(client|client_instance|instance|job|name):[a-z0-9_]+:[a-z0-9_]+", name)


def cases(alert: str) -> list[dict[str, Any]]:
    files = [yaml.safe_load(path.read_text()) for path in RULE_TESTS.glob("*.yml")]
    tests = [case for file in files for test in file["tests"] for case in test.get("alert_rule_test", [])]
    return [case for case in tests if case["alertname"] == alert]


@pytest.mark.parametrize("alert", ALERTS)
def test_every_alert_is_tested_on_both_sides_of_its_hold_time(alert):
    def seconds(time: str) -> int:
        parts = re.fullmatch(r"(?:(\d+)m)?(?:(\d+)s)?", time)
        assert parts, time
        return int(parts[1] or 0) * 60 + int(parts[2] or 0)

    firing = {seconds(case["eval_time"]) for case in cases(alert) if case.get("exp_alerts")}
    silent = {seconds(case["eval_time"]) for case in cases(alert) if not case.get("exp_alerts")}
    assert any(time - 5 in silent for time in firing), f"silent at {silent}, firing at {firing}"
