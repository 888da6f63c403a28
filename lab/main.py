"""The command `lab`: its subcommands."""

from __future__ import annotations

import signal
import sys
from importlib import import_module

from servicekit.errors import exit_with

COMMANDS = {
    "demo": ("demo.backpressure", "Prove backpressure in a minute: real server, real clients, on loopback"),
    "verify": ("stack.verify", "Prove the same on a running stack, by what Prometheus has recorded"),
    "scenario": ("stack.scenario", "Replay one of the two original experiments: the fast or the slow client"),
    "snapshot": ("stack.snapshot", "Save a dashboard and its panels as pictures, through Grafana"),
    "demo-policies": ("demo.policies", "Prove what each policy for slow consumers costs, in half a minute"),
    "predict": ("predict.command", "Predict in flight, age, loss and memory of a slow client; nothing is run"),
    "window-age": ("predict.window_age", "Draw the age of one slow client's data for windows of 16 KiB to 1 MiB"),
    "certs": ("certs.command", "Make certificates for development: an authority, and one for each service"),
    "chaos": ("chaos.command", "Play faults with real processes, and hold each against the figure that it must meet"),
    "bench": ("bench.speed.command", "Measure rates, processor time, latency and memory beside bare grpcio programs"),
    "bench-isolation": ("bench.command", "Measure a fast client beside up to 1,000 stalled ones, and their cost"),
}
"""Module below `lab`, imported only once it is called, and what it does."""


def main() -> None:
    """Run the subcommand that the first argument names; each has a module and a `--help` of its own."""
    name, *arguments = sys.argv[1:] or ["--help"]
    if name in ("-h", "--help"):
        print("usage: lab COMMAND [--help]\n\ncommands:")
        for command, (_, text) in COMMANDS.items():
            print(f"  {command:<18} {text}")
        return
    if name not in COMMANDS:
        exit_with("lab", f"no such command: {name}; it takes one of: {', '.join(COMMANDS)}")
    ended_by = [signal.SIGINT]

    def on_sigterm(*_: object) -> None:
        ended_by.append(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)  # which asyncio turns into a cancellation, so that services are ended

    # a shell's background job is started with SIGINT ignored, and nothing would end it
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, on_sigterm)
    try:
        status = import_module(f"lab.{COMMANDS[name][0]}").main(arguments)
    except KeyboardInterrupt:
        status = 128 + ended_by[-1]
    raise SystemExit(status)
