"""From start to end: run until a signal, and end with the right exit status."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Coroutine


def run_to_end(service: Coroutine[None, None, None]) -> None:
    """Run a service in an event loop of its own. Ends with exit status 1 once nobody takes its log any more."""
    try:
        asyncio.run(service)
    except BrokenPipeError:
        # Python flushes standard output once more when it ends, which would fail again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None


def stop_on_signals() -> asyncio.Event:
    """Return an event of the running loop that SIGTERM or SIGINT sets; a second signal ends the process at once."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()

    def on_signal(number: signal.Signals) -> None:
        stop.set()
        loop.remove_signal_handler(number)
        signal.signal(number, signal.SIG_DFL)  # Python's own handler of SIGINT would raise, and print a traceback

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    return stop
