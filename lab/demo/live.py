"""What a person sees while the acts are played: a chart in a terminal, a line a second elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType

import plotext
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from lab.processes.samples import Sample

CHART_ROWS = 16
SECONDS_BETWEEN_LINES = 1.0
SECONDS_BETWEEN_TABLES = 5.0


class Progress:
    """Shows the samples of the act that is on."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None
        self._printed_at = float("-inf")

    def __enter__(self) -> Progress:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def say(self, text: str) -> None:
        """Print a line that stays."""
        self._printed_at = float("-inf")
        self._console.print(text, highlight=False)

    def show(self, title: str, samples: Sequence[Sample], ceiling_updates: int | None) -> None:
        """Show an act as it stands."""
        last = samples[-1]
        line = (
            f"{title}: sent {last.sent:,}  processed {last.processed:,}  in flight {last.in_flight:,}"
            f"  write blocked {last.blocked_now_seconds:.1f} s"
        )
        if self._live:
            self._live.update(Group(Text.from_ansi(self._chart(samples, ceiling_updates)), Text(line)), refresh=True)
        elif last.at_seconds - self._printed_at >= SECONDS_BETWEEN_LINES or self._printed_at > last.at_seconds:
            self._printed_at = last.at_seconds
            self._console.print(f"  {line}", highlight=False)

    def show_all(self, samples: Mapping[str, Sequence[Sample]]) -> None:
        """Show clients side by side, a line each."""
        lines = [
            f"{name:<12} made {last.produced:>6,}  sent {last.sent:>6,}  dropped {last.dropped:>6,}  "
            f"processed {last.processed:>6,}  data {last.working_age_seconds:.1f} s old"
            for name, last in ((name, taken[-1]) for name, taken in samples.items())
        ]
        now = next(iter(samples.values()))[-1].at_seconds
        if self._live:
            self._live.update(Text("\n".join(lines)), refresh=True)
        elif now - self._printed_at >= SECONDS_BETWEEN_TABLES:
            self._printed_at = now
            self._console.print(f"after {now:.0f} s", *lines, sep="\n  ", highlight=False)

    def _chart(self, samples: Sequence[Sample], ceiling_updates: int | None) -> str:
        seconds = [sample.at_seconds for sample in samples]
        plotext.clear_figure()
        plotext.theme("clear")
        plotext.plot_size(min(self._console.width - 2, 110), CHART_ROWS)
        plotext.plot(seconds, [s.sent for s in samples], label="sent", color="blue")
        plotext.plot(seconds, [s.processed for s in samples], label="processed", color="green")
        if ceiling_updates is not None:
            ceiling = [s.processed + ceiling_updates for s in samples]
            plotext.plot(seconds, ceiling, label="predicted ceiling", color="gray", marker="dot")
        plotext.xlabel("seconds")
        return str(plotext.build())
