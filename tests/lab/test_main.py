"""The command `lab`: what it says to wrong calls."""

from __future__ import annotations

import pytest

from lab.demo.backpressure import main as demo
from lab.demo.policies import main as demo_policies
from lab.main import COMMANDS, main


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
