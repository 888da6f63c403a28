"""From start to end: what a signal does."""

from __future__ import annotations

import asyncio
import atexit
import os
import signal
from typing import NoReturn

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


def leave(status: int) -> NoReturn:
    """End the process now, its log written, whatever still hangs in its event loop."""
    atexit._run_exitfuncs()  # the log's own is among them; asyncio.run would first wait for all tasks
    os._exit(status)
