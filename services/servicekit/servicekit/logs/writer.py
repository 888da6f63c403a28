"""Writes the log from a thread of its own: whoever takes it, or does not, nothing else waits for that."""

from __future__ import annotations

import os
import queue
import select
import threading
from collections.abc import Callable

from prometheus_client import Counter

MOST_WAITING = 10_000
"""Lines that wait to be written; those that come while it is full are lost."""
FLUSH_SECONDS = 1.0
"""How long the end of the program waits for the lines that still wait."""

EVENTS_LOST = Counter(
    "stock_log_events_lost", "Log events that nobody took: too many waited, or writing failed.", registry=None
)


class LogWriter:
    """A text file to those who write; never blocks them, and raises nothing.

    Once lines go out again and none waits, the thread calls `on_resumed` with the number of lines lost so far.
    """

    def __init__(self, descriptor: int, on_resumed: Callable[[int], None], most_waiting: int = MOST_WAITING) -> None:
        self._descriptor = descriptor
        self._on_resumed = on_resumed
        self._most_waiting = most_waiting
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()  # a bounded queue costs ten times as much
        self._lost_here = 0
        self._lost_in_thread = 0
        self._torn = False
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def write(self, line: str) -> None:
        """Queue a line, its end included."""
        if self._lines.qsize() < self._most_waiting:
            self._lines.put(line)
        else:
            self._lost_here += 1
            EVENTS_LOST.inc()

    def flush(self) -> None:
        """Do nothing: the thread writes as soon as it can."""

    def close(self, within_seconds: float = FLUSH_SECONDS) -> None:
        """Write what waits, as far as that goes in the time given."""
        self._lines.put(None)
        self._thread.join(within_seconds)

    def _run(self) -> None:
        told = 0
        while True:
            lines = [self._lines.get()]
            while lines[-1] is not None and len(lines) < self._most_waiting and not self._lines.empty():
                lines.append(self._lines.get())
            written = self._write("".join(line for line in lines if line is not None))
            if lines[-1] is None:
                return
            lost = self._lost_here + self._lost_in_thread
            if written and lost > told and self._lines.empty():
                told = lost
                self._on_resumed(lost)

    def _write(self, text: str) -> bool:
        whole = text.encode(errors="backslashreplace")
        rest = memoryview(whole)
        try:
            if self._torn:
                os.write(self._descriptor, b"\n")
                self._torn = False
            while rest:
                try:
                    rest = rest[os.write(self._descriptor, rest) :]
                except BlockingIOError:  # another program that has the same pipe may have made it so
                    select.select((), (self._descriptor,), ())
        except OSError:
            written = len(whole) - len(rest)
            self._torn = self._torn or (written > 0 and whole[written - 1 : written] != b"\n")
            lost = whole.count(b"\n", written)
            self._lost_in_thread += lost
            EVENTS_LOST.inc(lost)
            return False
        return True
