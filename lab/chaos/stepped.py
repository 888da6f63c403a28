"""Runs a service whose clock is stepped on SIGUSR1: `python -m lab.chaos.stepped SECONDS MODULE ARGUMENTS...`.

The clock of the machine cannot be stepped for one process, nor in a time namespace, which moves only the monotonic
ones; so it is `time.time` of the program that steps, from which all its timestamps come.
"""

from __future__ import annotations

import runpy
import signal
import sys
import time


def main() -> None:
    """Run the module."""
    seconds, module = float(sys.argv[1]), sys.argv[2]
    stepped_by = [0.0]
    real = time.time
    time.time = lambda: real() + stepped_by[0]

    def step(*_: object) -> None:
        stepped_by[0] = 0.0 if stepped_by[0] else seconds

    signal.signal(signal.SIGUSR1, step)
    sys.argv = [module, *sys.argv[3:]]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
