"""What the rows are made of: inputs, a late relay, and the arithmetic of their figures."""

from __future__ import annotations

import asyncio
import itertools
import math
import os

import pytest
from raw_http2 import request as plain_request

from lab.chaos.faults.bad_input import EVERY_SECONDS, SPAN_SECONDS, _least_share
from lab.chaos.faults.soak import _slope
from lab.chaos.figures import Figures, events, tracebacks
from lab.chaos.inputs import PATH, PREFACE, Inputs, _length, request
from lab.chaos.network import _sweep
from lab.chaos.relay import late


def test_the_same_seed_draws_the_same_and_another_one_does_not():
    first, again, other = ([inputs.draw() for _ in range(200)] for inputs in (Inputs(1), Inputs(1), Inputs(2)))
    # what TLS says first is random by itself
    same = [one == two for one, two in zip(first, again, strict=True) if not one.startswith(b"\x16\x03")]
    assert all(same)
    assert first != other


def test_a_call_without_more_metadata_is_one_that_grpc_takes():
    frames = request(PATH)
    assert frames.startswith(PREFACE)
    assert frames.count(b"application/grpc") == plain_request(PATH, b"").count(b"application/grpc") == 1


@pytest.mark.parametrize(
    ("length", "encoded"),
    [(0, b"\x00"), (126, b"\x7e"), (127, b"\x7f\x00"), (254, b"\x7f\x7f"), (255, b"\x7f\x80\x01")],
)
def test_lengths_are_integers_of_hpack(length: int, encoded: bytes):
    assert _length(length) == encoded


async def test_a_late_relay_brings_every_byte_late_and_in_order():
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(100):
            writer.write(data)
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    loop = asyncio.get_running_loop()
    async with server, late(server.sockets[0].getsockname()[1], 0.1) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        began_at = loop.time()
        for letter in (b"a", b"b", b"c"):
            writer.write(letter)
            await asyncio.sleep(0.01)
        assert await reader.readexactly(3) == b"abc"
        assert loop.time() - began_at >= 0.2
        writer.close()


def test_the_least_share_is_that_of_the_worst_span():
    regular = list(itertools.takewhile(lambda at: at < 3 * SPAN_SECONDS, itertools.count(0.0, EVERY_SECONDS)))
    assert _least_share(regular) == pytest.approx(1, abs=0.03)
    gap = [at for at in regular if not SPAN_SECONDS < at < 1.5 * SPAN_SECONDS]
    assert _least_share(gap) == pytest.approx(0.5, abs=0.05)
    assert math.isnan(_least_share(regular[:3])), "no span is whole"


def test_the_slope_is_that_of_the_line_through_the_points():
    assert _slope([(0, 5), (1, 7), (2, 9)]) == 2
    assert _slope([(0, 5), (1, 6), (2, 5)]) == 0


def test_figures_are_summed_by_name_and_labels():
    seen = Figures.of('# TYPE a gauge\na{client="x"} 1\na{client="y"} 2\n# TYPE b gauge\nb 4\n')
    assert (seen.sum("a"), seen.sum("a", client="y"), seen.sum("c")) == (3, 2, 0)
    assert seen.series() == 2


def test_events_and_tracebacks_are_read_off_a_log(tmp_path):
    log = tmp_path / "log"
    log.write_text('{"event": "a.b", "x": 1}\nnoise\n{"event": "a.b.c"}\nTraceback (most recent call last):\n{"event"')
    assert [event["x"] for event in events(log, "a.b")] == [1]
    assert tracebacks(log) == 1


def test_the_namespaces_of_a_run_that_goes_on_are_left_alone(tmp_path, monkeypatch):
    ours = tmp_path / f"chaos{os.getpid()}-1"
    ours.touch()
    deleted: list[str] = []
    monkeypatch.setattr("lab.chaos.network.NAMESPACES", tmp_path)
    monkeypatch.setattr("lab.chaos.network.subprocess.run", lambda command, **_: deleted.append(command[-1]))
    (tmp_path / "chaos999999999-1").touch()
    _sweep()
    assert deleted == ["chaos999999999-1"]
