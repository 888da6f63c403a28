"""Whatever a command of the lab is given, it can use it or refuses it in one line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lab.main import COMMANDS
from lab.predict.command import main as predict

from extremes import extremes_for, load
from lab_commands import settings_of

HERE = Path(__file__)

FOLDERS = ("/dev/null/out", str(HERE), f"{HERE}/out", "x" * 256, "a\0b")

URLS = (
    "http://",
    "http://:80",
    "http://x:0",
    "http://x:99999",
    "http://x:y",
    "http://[x",
    "https://a..b",
    "server:9090",
)


CASES = [(name, field) for name in COMMANDS for field in settings_of(name).model_fields]


def flag_of(field: str) -> str:
    return f"--{field.strip('_').replace('_', '-')}"


@pytest.fixture(autouse=True)
def _no_settings_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("LAB_"):
            monkeypatch.delenv(name)


@pytest.mark.parametrize(("name", "field"), CASES, ids=[f"{name}-{field}" for name, field in CASES])
def test_it_is_taken_or_refused_in_one_line(name: str, field: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = ["fast"] if name == "scenario" else []
    for value in extremes_for(field):
        load(settings_of(name), [*before, f"{flag_of(field)}={value}"], capsys)


@pytest.mark.parametrize("field", settings_of("predict").model_fields)
def test_what_predict_takes_it_predicts(field: str, capsys: pytest.CaptureFixture[str]) -> None:
    for value in extremes_for(field):
        for policy in ("pause", "disconnect"):
            arguments = [f"{flag_of(field)}={value}"]
            arguments = arguments if field == "policy" else [*arguments, "--policy", policy]
            if load(settings_of("predict"), arguments, capsys) is not None:
                assert predict(arguments) == 0
                assert capsys.readouterr().out


@pytest.mark.parametrize("name", [name for name in COMMANDS if "out" in settings_of(name).model_fields])
@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_that_cannot_be_made_is_told_before_anything_runs(
    name: str, folder: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = ["fast"] if name == "scenario" else []
    assert load(settings_of(name), [*before, "--out", folder], capsys) is None


@pytest.mark.parametrize(("name", "field"), [("verify", "prometheus_url"), ("snapshot", "grafana_url")])
@pytest.mark.parametrize("url", URLS)
def test_an_address_that_is_none_is_told(name: str, field: str, url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert load(settings_of(name), [flag_of(field), url], capsys) is None


def test_a_default_that_cannot_be_used_here_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out").write_text("a file")
    monkeypatch.chdir(tmp_path)
    assert load(settings_of("demo"), [], capsys) is None
