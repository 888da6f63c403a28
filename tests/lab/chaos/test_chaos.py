"""A row of the table, played for real at a small size; and that what does not hold, or was not tested, is told so."""

from __future__ import annotations

import asyncio
import json

import pytest

from lab.chaos import command, rows
from lab.chaos.faults import link_down
from lab.chaos.outcome import Status
from lab.chaos.rows import Row
from lab.chaos.scene import NotTestedError, TookTooLongError, until
from lab.verdict import at_most

from needs import lack


@pytest.fixture
def play(monkeypatch, tmp_path, capsys):
    """Return what plays rows of a test's own, and gives back status, results and output."""

    def played(*played_rows: Row) -> tuple[int, dict, str]:
        monkeypatch.setattr(command, "ROWS", played_rows)
        status = command.main(["--quick", "--out", str(tmp_path)])
        return status, json.loads((tmp_path / "results.json").read_text()), capsys.readouterr().out

    return played


def row(name: str, play) -> Row:
    return Row(name, "a fault", play, within_seconds=1)


async def holds(_):
    return [at_most("figure", 1, 2)]


async def fails(_):
    return [at_most("figure", 1, 2), at_most("figure", 3, 2)]


async def lacks(_):
    raise NotTestedError("needs Docker")


async def never_comes(_):
    async def nothing() -> int:
        return 0

    await until(nothing, bool, 0.1, "something")


async def hangs(_):
    await asyncio.sleep(60)


async def claims_nothing(_):
    return []


def test_a_killed_server_is_come_back_to(tmp_path, capsys):
    assert command.main(["server-kill", "--quick", "--out", str(tmp_path)]) == 0
    (result,) = json.loads((tmp_path / "results.json").read_text())["rows"]
    assert (result["name"], result["status"]) == ("server-kill", "holds")
    assert len(result["claims"]) == 5
    assert "1 faults: 1 holds" in capsys.readouterr().out


def test_a_network_that_loses_everything_is_given_up_and_come_back_through(tmp_path, monkeypatch):
    monkeypatch.setattr(link_down, "QUICK_OUTAGES_SECONDS", (4.0,))
    command.main(["link-down", "--quick", "--out", str(tmp_path)])
    (result,) = json.loads((tmp_path / "results.json").read_text())["rows"]
    if result["status"] == Status.NOT_TESTED:
        lack("network namespaces", "root on Linux, with iproute2", result["reason"])
    assert result["status"] == Status.HOLDS, result
    assert len(result["claims"]) == 4


@pytest.mark.parametrize("fault", [fails, never_comes, hangs, claims_nothing], ids=lambda fault: fault.__name__)
def test_what_does_not_hold_fails_and_the_others_go_on(play, fault):
    status, results, output = play(row("bad", fault), row("good", holds))
    assert status == 1
    assert [result["status"] for result in results["rows"]] == [Status.FAILS, Status.HOLDS]
    assert not results["passed"]
    assert "FAILS" in output


def test_what_could_not_be_tested_is_never_good(play):
    status, results, output = play(row("good", holds), row("no-docker", lacks))
    assert status == 2
    assert [result["status"] for result in results["rows"]] == [Status.HOLDS, Status.NOT_TESTED]
    assert not results["passed"]
    assert "needs Docker" in output
    assert "1 not tested" in output


def test_an_unknown_fault_is_refused_in_one_line(capsys):
    with pytest.raises(SystemExit, match="2"):
        command.main(["server-kil"])
    error = capsys.readouterr().err
    assert "no such fault: 'server-kil'" in error
    assert error.count("\n") == 1


def test_each_row_has_a_name_of_its_own():
    names = [row.name for row in rows.ROWS]
    assert len(set(names)) == len(names)


async def test_what_cannot_be_asked_meets_no_condition():
    async def refused() -> None:
        raise ConnectionRefusedError

    with pytest.raises(TookTooLongError, match="ConnectionRefusedError"):
        await until(refused, lambda _: True, 0.1, "an answer")
