"""The server's clock is stepped by an hour, forth and back, and then back and forth."""

from __future__ import annotations

import signal

from lab.chaos.figures import Figures, events, figures
from lab.chaos.scene import Scene, until
from lab.processes.services import run_client, run_server
from lab.verdict import Claim, at_least, at_most, between

HOUR = 3600.0
PACE = ("--update-interval-seconds", "0.02")
UPDATES = 25


async def run(scene: Scene) -> list[Claim]:
    """Step it ahead and back again, then behind and back again."""
    return [*await _play(scene, "ahead", HOUR), *await _play(scene, "behind", -HOUR)]


async def _play(scene: Scene, name: str, step: float) -> list[Claim]:
    folder = scene.folder / name
    stepped = ("-m", "lab.chaos.stepped", str(step))
    async with run_server(folder, *PACE, by=stepped) as server, run_client(folder, "reader", server) as reader:

        async def now() -> Figures:
            return await figures(scene.http, reader)

        async def some_more() -> Figures:
            count = (await now()).sum("stock_updates_received_total")
            seen, _ = await until(
                now, lambda seen: seen.sum("stock_updates_received_total") >= count + UPDATES, 60, "updates go on"
            )
            return seen

        before = await some_more()
        server.process.send_signal(signal.SIGUSR1)
        stepped_to = await some_more()
        server.process.send_signal(signal.SIGUSR1)
        after = await some_more()
        ages = [event["age_seconds"] for event in events(folder / "reader.log", "update.processed")]
        told = [len(events(folder / "reader.log", event)) for event in ("clock.ahead", "clock.agrees")]
    known = [age for age in ages if age is not None]
    claims = [
        at_least(f"{name}: least age of an update, of those that are known", min(known), 0, "s"),
        between(f"{name}: streams opened", after.sum("flowcontrol_client_streams_opened_total"), 1, 1),
        at_most(f"{name}: updates missed or repeated", _wrong(after), 0),
    ]
    ahead = "stock_client_clock_ahead_seconds"
    if step < 0:
        oldest = max(known)
        return [*claims, between("behind: age shown meanwhile", oldest, HOUR - 1, HOUR + 60, "s")]
    return [
        *claims,
        between("ahead: seconds told meanwhile", stepped_to.sum(ahead), HOUR - 60, HOUR, "s"),
        at_least("ahead: updates without an age meanwhile", len(ages) - len(known), UPDATES - 1),
        between("ahead: lines that say it, and that it is over", sum(told), 2, 2),
        at_most("ahead: seconds told before and after", before.sum(ahead) + after.sum(ahead), 0),
    ]


def _wrong(now: Figures) -> float:
    return now.sum("stock_client_missed_updates_total") + now.sum("stock_client_repeated_updates_total")
