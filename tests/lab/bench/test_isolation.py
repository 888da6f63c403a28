"""The benchmark: its arithmetic, and a small run of the whole."""

from __future__ import annotations

import json
import resource

import pytest

from lab.bench import command, idle_cost
from lab.bench.idle_cost import Case
from lab.bench.isolation import summarise


def measured(rate: float, gap: float) -> dict[str, float]:
    return {"updates_per_second": rate, "gap_p99_seconds": gap, "processor_seconds": 1 / rate}


def test_a_round_is_compared_with_the_measurements_alone_on_both_sides_of_it():
    rounds = [
        {0: measured(100, 0.010), 10: measured(90, 0.030)},
        {0: measured(200, 0.020), 10: measured(225, 0.030)},
    ]
    alone, beside = summarise("series", rounds, measured(250, 0.040))
    assert (alone.stalled_streams, alone.rate_ratio, alone.gap_p99_ratio) == (0, 1, 1)
    assert beside.rate_ratios == (round(90 / 150, 3), round(225 / 225, 3))
    assert beside.gap_p99_ratios == (2, 1)
    assert (beside.rate_ratio, beside.gap_p99_ratio) == (0.8, 1.5)
    assert (beside.updates_per_second, beside.gap_p99_seconds) == (157.5, 0.03)


def test_a_small_run_has_all_figures_and_leaves_them_as_json(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(idle_cost, "FULL_AFTER_SECONDS", 0.1)
    monkeypatch.setattr(idle_cost, "WATCHED_SECONDS", 0.5)
    monkeypatch.setattr(command, "WINDOWS", command.WINDOWS[:1])
    cases = [Case("pause", 16_384, 3), Case("drop-oldest", 16_384, 2, shared=True)]
    monkeypatch.setattr(command, "_cases", lambda *_: cases)
    monkeypatch.setattr(command, "FILLING_ROUNDS", 1)
    monkeypatch.setattr(command, "FILLING_SECONDS", 0.3)
    arguments = ["--streams", "4", "--shared-streams", "5", "--rounds", "1", "--seconds", "0.3", "--out", str(tmp_path)]
    assert command.main(arguments) == 0
    results = json.loads((tmp_path / "results.json").read_text())
    assert {row["stalled_streams"] for row in results["isolation"]} == {0, 1, 4, 5}
    assert all(row["updates_per_second"] > 10 for row in results["isolation"])
    assert [row["window"] for row in results["filling"]] == ["65535", "auto"]
    assert len(results["throughput"]) == 1
    assert [(row["policy"], row["channels"]) for row in results["costs"]] == [
        ("pause", "own"),
        ("drop-oldest", "shared"),
    ]
    assert all(0 <= row["processor_share"] < 0.5 for row in results["costs"])
    table = capsys.readouterr().out
    assert "one shared channel" in table
    assert "memory of each" in table


def test_too_few_open_files_are_one_line(capsys, monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 512))
    with pytest.raises(SystemExit, match="2"):
        command.main([])
    assert "1200 open files" in capsys.readouterr().err
