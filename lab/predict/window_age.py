"""Show that a small window keeps data fresh: one slow client under `conflate`, with windows of 16 KiB to 1 MiB."""

from __future__ import annotations

import asyncio
import json
import statistics
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator
from pydantic import Field
from pydantic_settings import SettingsConfigDict
from rich.table import Table

from flowcontrol import Window
from lab.console import Bar, new_console
from lab.predict.prediction import Scenario, predict
from lab.predict.slow_run import Processed, pace_seconds, processed_in
from lab.processes.services import Service, ServiceFailedError, run_client, run_server
from servicekit.errors import exit_with
from servicekit.settings import CommandSettings, load_settings
from servicekit.values import Folder
from stock_server.streams.policy import Policy
from stockfeed.source import StockSource

WINDOWS_BYTES = tuple(2**exponent for exponent in range(14, 21))
PADDING_BYTES = 900
"""Updates of about 1,000 bytes fill the largest window within the run."""
UPDATES_PER_SECOND = 200.0
PROCESSING_SECONDS = 0.02

MEASURED, PREDICTED = "#1f6fb4", "#8e8e8e"


class WindowAgeSettings(CommandSettings):
    """Run the same slow client under conflate with windows of 16 KiB to 1 MiB, and draw the age of its data."""

    model_config = SettingsConfigDict(cli_prog_name="lab window-age")

    seconds: float = Field(60.0, ge=40, le=600, description="seconds that the clients run, 40 to 600")
    out: Folder = Field(Path("out/window-age"), description="folder for chart.png, results.json and the services' logs")


@dataclass(frozen=True)
class WindowAge:
    """Ages with one window, in seconds, at the plateau."""

    window_bytes: int
    updates: int
    pace_seconds: float
    age_least_seconds: float
    age_median_seconds: float
    age_most_seconds: float
    predicted_least_seconds: float
    predicted_most_seconds: float


def main(arguments: Sequence[str]) -> int:
    """Measure, print and draw; return 0."""
    settings = load_settings(WindowAgeSettings, arguments)
    try:
        results = asyncio.run(measure(settings))
    except ServiceFailedError as error:
        exit_with("lab window-age", str(error))
    settings.out.mkdir(parents=True, exist_ok=True)
    (settings.out / "results.json").write_text(json.dumps([asdict(result) for result in results], indent=2) + "\n")
    draw(results, settings.out / "chart.png")
    print_table(results)
    print(f"chart {settings.out / 'chart.png'}  results {settings.out / 'results.json'}")
    return 0


async def measure(settings: WindowAgeSettings) -> list[WindowAge]:
    """Run all clients side by side on one server. Raises ServiceFailedError."""
    logs = settings.out / "logs"
    loop = asyncio.get_running_loop()
    pace = ("--update-interval-seconds", str(1 / UPDATES_PER_SECOND), "--padding-bytes", str(PADDING_BYTES))
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(run_server(logs, "--policy", "conflate", *pace))
        services = [server]
        for window_bytes in WINDOWS_BYTES:
            client = ("--processing", str(PROCESSING_SECONDS), "--window-bytes", str(window_bytes))
            services.append(await stack.enter_async_context(run_client(logs, name_of(window_bytes), server, *client)))
        with Bar(new_console(), "window-age") as bar:
            began_at = loop.time()
            while (elapsed := loop.time() - began_at) < settings.seconds:
                check(services)
                bar.show(elapsed / settings.seconds, f"{elapsed:.0f} of {settings.seconds:.0f} s")
                await asyncio.sleep(0.5)
    return [result_of(size, processed_in(logs / f"{name_of(size)}.log")) for size in WINDOWS_BYTES]


def check(services: Sequence[Service]) -> None:
    """Raise ServiceFailedError where one has ended."""
    for service in services:
        service.check()


def result_of(window_bytes: int, updates: Sequence[Processed]) -> WindowAge:
    """Return the ages once they have settled, beside the prediction for the pace that the client really kept."""
    pace = pace_seconds(updates)
    message_bytes = StockSource(padding_bytes=PADDING_BYTES, seed=1).next().ByteSize()
    prediction = predict(Scenario(message_bytes, UPDATES_PER_SECOND, pace, Window(window_bytes), Policy.CONFLATE))
    settled_at = 1.2 * (prediction.age_settles_after_seconds or 0.0)
    ages = [update.age_seconds for update in updates if update.at_seconds >= settled_at]
    return WindowAge(
        window_bytes=window_bytes,
        updates=len(ages),
        pace_seconds=round(pace, 5),
        age_least_seconds=min(ages),
        age_median_seconds=statistics.median(ages),
        age_most_seconds=max(ages),
        predicted_least_seconds=round(prediction.age_least_seconds, 4),
        predicted_most_seconds=round(prediction.age_seconds, 4),
    )


def print_table(results: Sequence[WindowAge]) -> None:
    """Print a row for each window."""
    table = Table(title="Age of the data when its processing is done, seconds", title_justify="left")
    for column in ("window, bytes", "least", "median", "most", "predicted", "updates"):
        table.add_column(column, justify="right")
    for result in results:
        table.add_row(
            f"{result.window_bytes:,}",
            f"{result.age_least_seconds:.2f}",
            f"{result.age_median_seconds:.2f}",
            f"{result.age_most_seconds:.2f}",
            f"{result.predicted_least_seconds:.2f} to {result.predicted_most_seconds:.2f}",
            f"{result.updates:,}",
        )
    new_console().print(table)


def draw(results: Sequence[WindowAge], path: Path) -> None:
    """Write the chart as a PNG file: a bar from least to most for each window, over the range predicted."""
    sizes = [result.window_bytes for result in results]
    medians = [result.age_median_seconds for result in results]
    below = [result.age_median_seconds - result.age_least_seconds for result in results]
    above = [result.age_most_seconds - result.age_median_seconds for result in results]
    with mpl.rc_context({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(8, 4.6), dpi=110, layout="constrained")
        ax = figure.subplots()
        ax.fill_between(
            sizes,
            [result.predicted_least_seconds for result in results],
            [result.predicted_most_seconds for result in results],
            color=PREDICTED,
            alpha=0.35,
            linewidth=0,
            label="predicted: what is in flight, at least and at most",
        )
        ax.errorbar(
            sizes, medians, yerr=[below, above], color=MEASURED, fmt="o", markersize=6, capsize=5, linewidth=1.8,
            label="measured: least, median, most",
        )  # fmt: skip
        for size, median in zip(sizes, medians, strict=True):
            ax.annotate(f"{median:.2g} s", (size, median), (9, -4), textcoords="offset points", color=MEASURED)
        ax.set_xscale("log", base=2)
        ax.set_yscale("log")
        ax.set_xticks(sizes, [f"{size // 1024:,}" for size in sizes])
        ax.xaxis.set_minor_locator(NullLocator())
        ax.set_xlim(sizes[0] / 1.3, sizes[-1] * 1.5)
        ax.set_yticks([0.2, 0.5, 1, 2, 5, 10, 20])
        ax.yaxis.set_minor_locator(NullLocator())
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        ax.set_xlabel("window of the client, KiB")
        ax.set_ylabel("age of the data, seconds")
        ax.set_title("A small window and conflate: the recipe for fresh data", loc="left", fontweight="bold")
        ax.text(
            0.99,
            0.03,
            f"the same slow client, {PROCESSING_SECONDS * 1000:g} ms an update of about 1,000 bytes;\n"
            f"{UPDATES_PER_SECOND:g} updates/s made, each newer one replaces the one that waits",
            transform=ax.transAxes,
            ha="right",
            color="#555555",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 2},
        )
        ax.grid(axis="y", color="#e6e6e6")
        ax.set_axisbelow(True)
        ax.legend(loc="upper left", frameon=False)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path)


def name_of(window_bytes: int) -> str:
    """Return the name of the client with a window."""
    return f"window-{window_bytes}"
