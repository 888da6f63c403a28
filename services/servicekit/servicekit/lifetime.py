"""From start to end: what a signal does."""

from __future__ import annotations

import asyncio
import signal

SIGNALS = (signal.SIGTERM, signal.SIGINT)


def stop_on_signals() -> asyncio.Event:
    """Return an event of the running loop that SIGTERM or SIGINT sets; a second one of either ends the process."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()

    def on_signal() -> None:
        stop.set()
        for number in SIGNALS:
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)  # Python's own handler of SIGINT would raise, and print a traceback

    for number in SIGNALS:
        loop.add_signal_handler(number, on_signal)
    return stop
