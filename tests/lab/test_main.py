"""The command `lab`: what it says to wrong calls, what it obeys, and how it ends."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lab.demo.backpressure import main as demo
from lab.demo.policies import main as demo_policies
from lab.main import COMMANDS, main
from servicekit.settings import load_settings

from lab_commands import settings_of
from waiting import until_blocking


def ends_with(capsys, status: int, call, *arguments) -> str:
    with pytest.raises(SystemExit) as end:
        call(*arguments)
    assert end.value.code == status
    return capsys.readouterr().err


def test_an_unknown_command_is_told_which_there_are(capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["lab", "dmeo"])
    line = ends_with(capsys, 2, main)
    assert line.startswith("lab: no such command: dmeo")
    assert all(name in line for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(capsys, monkeypatch, name):
    monkeypatch.setattr("sys.argv", ["lab", name, "--help"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 0
    assert f"lab {name}" in capsys.readouterr().out


@pytest.mark.parametrize("call", [demo, demo_policies])
@pytest.mark.parametrize("window", ["16383", "many", "99999999999"])
def test_a_window_that_is_none_ends_in_one_line(capsys, call, window):
    line = ends_with(capsys, 2, call, ["--window-bytes", window])
    assert line.count("\n") == 1
    assert "--window-bytes" in line
    assert "16384" in line


@pytest.mark.parametrize("name", ["predict", "window-age", "bench-isolation"])
def test_a_command_without_variables_obeys_none(name, monkeypatch):
    settings_type = settings_of(name)
    monkeypatch.setenv("POLICY", "conflate")
    monkeypatch.setenv("OUT", "elsewhere")
    monkeypatch.setenv("STREAMS", "2")
    monkeypatch.setenv("SECONDS", "50")
    assert load_settings(settings_type, []) == settings_type.model_construct()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_command_that_is_ended_ends_its_services(tmp_path, number, status):
    """As a shell starts it in the background, too: with SIGINT ignored."""
    in_background = ["sh", "-c", "trap '' INT; exec \"$@\"", "sh"]
    command = [*in_background, sys.executable, "-m", "lab", "demo", "--out", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as demo:
        try:
            children = until_blocking(lambda: children_of(demo.pid), lambda pids: len(pids) == 2, what="two services")
            demo.send_signal(number)
            _, errors = demo.communicate(timeout=20)
        finally:
            demo.kill()
    assert (demo.returncode, errors) == (status, "")
    assert [pid for pid in children if Path(f"/proc/{pid}").exists()] == []


def children_of(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
