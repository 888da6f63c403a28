"""One stream at full speed: the services, with all that they measure, beside the best that grpcio can do."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import httpx

from lab.bench.speed.measure import Measure, ratio
from lab.bench.speed.pair import Pair, Spent, bare_pair, our_pair
from lab.console import Say

BARE, THREADS, SINGLE, BATCHES = "bare asyncio", "bare threads", "GetUpdates", "GetUpdateBatches"


async def measure_flat_out(
    rounds: int, seconds: float, http: httpx.AsyncClient, folder: Path, say: Say
) -> tuple[list[Measure], dict[str, list[Spent]]]:
    """Measure all four pairs in turn, round after round; return the rows, and all that was measured."""
    async with AsyncExitStack() as stack:
        pairs: dict[str, Pair] = {}
        for name, context in (
            (BARE, bare_pair(folder)),
            (THREADS, bare_pair(folder, threads=True)),
            (SINGLE, our_pair(folder, http)),
            (BATCHES, our_pair(folder, http, "--batches")),
        ):
            pair = pairs[name] = await stack.enter_async_context(context)
            await pair.started()
            pair.stop()
        spent: dict[str, list[Spent]] = {name: [] for name in pairs}
        for number in range(rounds):
            say(f"one stream at full speed: round {number + 1} of {rounds}")
            for name, pair in pairs.items():
                spent[name].append(await pair.measure(seconds))
    return rows(spent), spent


def rows(spent: dict[str, list[Spent]]) -> list[Measure]:
    """Return the rows: against the faster of the bare pairs, and the cheaper one."""
    fastest = max((BARE, THREADS), key=lambda name: statistics.median(each.rate for each in spent[name]))
    cheapest = min((BARE, THREADS), key=lambda name: statistics.median(each.both_us for each in spent[name]))

    def rates(name: str) -> list[float]:
        return [each.rate for each in spent[name]]

    def costs(name: str) -> list[float]:
        return [each.both_us for each in spent[name]]

    def detail(name: str, of: Sequence[float], bare: str, of_bare: Sequence[float], unit: str) -> str:
        mine, its = statistics.median(of), statistics.median(of_bare)
        return f"{name} {mine:,.4g} {unit}, {bare} {its:,.4g}"

    result = []
    for name, least, most in ((SINGLE, 0.95, 1.05), (BATCHES, 15.0, 0.05)):
        part = f"one stream, {name}"
        text = detail(name, rates(name), fastest, rates(fastest), "updates/s")
        result.append(ratio(part, "updates a second", rates(name), rates(fastest), text, at_least=least))
        text = detail(name, costs(name), cheapest, costs(cheapest), "us an update")
        result.append(ratio(part, "processor time, both ends", costs(name), costs(cheapest), text, at_most=most))
        for end in ("server", "client"):
            ours = [getattr(each, f"{end}_us") for each in spent[name]]
            its = [getattr(each, f"{end}_us") for each in spent[cheapest]]
            text = detail(name, ours, cheapest, its, "us an update")
            result.append(ratio(part, f"processor time, {end}", ours, its, text, at_most=most))
    return result
