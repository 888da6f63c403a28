"""The benchmark beside bare grpcio: its arithmetic, its programs, and a small run."""

from __future__ import annotations

import asyncio
import json

import pytest

from lab.bench.programs.counter import new_counter, open_counter
from lab.bench.speed import command, flat_out
from lab.bench.speed.flat_out import BARE, BATCHES, SINGLE, THREADS
from lab.bench.speed.measure import figure, ratio
from lab.bench.speed.pair import Spent, bare_server, processor_seconds, program
from lab.bench.speed.peer import measure_peer


def spent(updates: float, microseconds: float) -> Spent:
    """Return a measurement of one second, with so much processor time an update at either end."""
    return Spent(updates, 1.0, updates * microseconds / 1e6, updates * microseconds / 1e6)


def test_a_row_is_the_median_of_the_rounds_ratios():
    row = ratio("part", "what", [100, 300, 90], [100, 100, 100], "", at_least=0.95)
    assert (row.value, row.least, row.most, row.met, row.aim) == (1.0, 0.9, 3.0, True, "≥ 0.95")
    assert figure("part", "what", [2.0], "s", at_most=1.0).met is False
    assert figure("part", "what", [2.0], "s").met is None


def test_the_services_are_compared_with_the_best_of_the_bare_pairs():
    measured = {
        BARE: [spent(100, 50)] * 2,
        THREADS: [spent(200, 80)] * 2,
        SINGLE: [spent(100, 100)] * 2,
        BATCHES: [spent(4_000, 1)] * 2,
    }
    values = {(row.part, row.what): row.value for row in flat_out.rows(measured)}
    assert values["one stream, GetUpdates", "updates a second"] == 0.5, "the faster one"
    assert values["one stream, GetUpdates", "processor time, both ends"] == 2, "the cheaper one"
    assert values["one stream, GetUpdateBatches", "updates a second"] == 20


def test_a_counter_is_seen_by_who_opens_it(tmp_path):
    counter = new_counter(tmp_path / "count")
    open_counter(tmp_path / "count")[0] = 7
    assert counter[0] == 7


async def test_the_reader_by_the_byte_and_the_peer_that_it_reads(tmp_path):
    """A bare server stands for the original's. Who is faster is for the benchmark, on a machine that is not busy."""
    async with bare_server() as (server, address):
        rows = await measure_peer(address, 1, 0.2, tmp_path, lambda _: None)
        assert processor_seconds(server.pid) > 0
    assert all(row.value > 0 for row in rows)
    assert [row.what.split(", ")[2] for row in rows] == ["pause: updates a second", "drop-oldest: updates a second"]
    assert all(row.aim.startswith("≥") for row in rows)


async def test_a_program_that_is_ended_is_gone(tmp_path):
    async with program("bare_server") as server:
        await asyncio.wait_for(server.stdout.readline(), 30)
    assert server.returncode is not None


def test_a_small_run_has_a_table_a_file_and_a_chart(capsys, tmp_path):
    assert command.main(["--quick", "--parts", "one-stream", "--rounds", "1", "--out", str(tmp_path)]) == 0
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["quick"] is True
    assert {row["part"] for row in results["rows"]} == {"one stream, GetUpdates", "one stream, GetUpdateBatches"}
    assert all(row["value"] > 0 and row["met"] is not None for row in results["rows"])
    assert (tmp_path / "bench.png").stat().st_size > 1_000
    assert "one stream" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"), [(["--parts", "speed"], "no such part"), (["--peer", "nowhere"], "a port is a number")]
)
def test_what_is_wrong_is_one_line(arguments, says, capsys):
    with pytest.raises(SystemExit, match="2"):
        command.main(arguments)
    assert says in capsys.readouterr().err
