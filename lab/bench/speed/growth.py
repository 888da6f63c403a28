"""Whether the cost of an update grows: with streams, with tickers, with the rate."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import httpx

from lab.bench.speed.fan_out import sent_by
from lab.bench.speed.measure import Measure, figure
from lab.bench.speed.pair import Pair, going_on, reading
from lab.console import Say
from lab.processes.services import run_server

AT_MOST = 1.2


async def measure_growth(
    cases: Sequence[tuple[str, Sequence[tuple[str, int, tuple[str, ...]]]]],
    rounds: int,
    seconds: float,
    http: httpx.AsyncClient,
    folder: Path,
    say: Say,
) -> list[Measure]:
    """Measure series after series: a name, and for each row a label, its streams, and the server's arguments."""
    rows = []
    for title, series in cases:
        async with AsyncExitStack() as stack:
            pairs: dict[str, Pair] = {}
            for label, streams, arguments in series:
                say(f"growth with {title}: {label}")
                server = await stack.enter_async_context(run_server(folder / f"{title}-{label}", *arguments))
                await stack.enter_async_context(going_on(server))
                address = f"127.0.0.1:{server.grpc_port}"
                pair = await stack.enter_async_context(
                    reading(server.process.pid, address, folder, "--streams", str(streams))
                )
                pairs[label] = replace(pair, count=sent_by(server, http))
                await pairs[label].started()
                pairs[label].stop()
            costs: dict[str, list[float]] = {label: [] for label in pairs}
            for number in range(rounds):
                say(f"growth with {title}: round {number + 1} of {rounds}")
                for label, pair in pairs.items():
                    costs[label].append((await pair.measure(seconds)).server_us)
        first = series[0][0]
        for label, of_label in costs.items():
            ratios = [mine / its for mine, its in zip(of_label, costs[first], strict=True)]
            detail = f"{sorted(of_label)[len(of_label) // 2]:.1f} us of the server an update"
            aim = {} if label == first else {"at_most": AT_MOST}
            rows.append(figure(f"growth with {title}", f"{label}, to {first}", ratios, "x", detail, **aim))
    return rows
