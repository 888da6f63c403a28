"""Progress of something that takes its time: a bar in a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

LINE_WIDTH = 120
"""Columns of the output where it is no terminal."""

SECONDS_BETWEEN_LINES = 10.0

Say = Callable[[str], None]
"""How a task that takes its time tells how it stands."""


def new_console() -> Console:
    """Return a console on standard output, of a fixed width where that is no terminal."""
    return Console() if sys.stdout.isatty() else Console(width=LINE_WIDTH)


class Bar:
    """How much of a task is done, from 0 to 1, and what it waits for."""

    def __init__(self, console: Console, title: str) -> None:
        self._console = console
        self._title = title
        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(20), TimeElapsedColumn(), TextColumn("{task.fields[doing]}"),
            console=console, transient=True,
        )  # fmt: skip
        self._task = self._progress.add_task(title, total=1.0, doing="")
        self._printed_at = float("-inf")

    def __enter__(self) -> Bar:
        if self._console.is_terminal:
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._progress.stop()

    def show(self, done: float, doing: str) -> None:
        """Show how it stands."""
        self._progress.update(self._task, completed=min(1.0, max(0.0, done)), doing=doing)
        if not self._console.is_terminal and time.monotonic() - self._printed_at >= SECONDS_BETWEEN_LINES:
            self._printed_at = time.monotonic()
            self.say(doing)

    def say(self, text: str) -> None:
        """Print a line that stays."""
        self._console.print(f"{self._title}: {text}", highlight=False, markup=False)
