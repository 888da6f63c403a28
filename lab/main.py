"""The command `lab`: its subcommands."""

from __future__ import annotations

import sys
from importlib import import_module

from servicekit.errors import exit_with

COMMANDS = {
    "demo": "Prove backpressure in a minute: real server, real clients, on loopback",
    "verify": "Prove the same on a running stack, by what Prometheus has recorded",
    "scenario": "Replay one of the two original experiments: the fast or the slow client, five minutes",
    "snapshot": "Save a dashboard and its panels as pictures, through Grafana",
    "demo-policies": "Prove what each policy for slow consumers costs, in half a minute",
    "predict": "Predict in flight, age, loss and memory of a slow client; nothing is run",
    "window-age": "Draw the age of one slow client's data for windows of 16 KiB to 1 MiB, in a minute",
    "bench-isolation": "Measure a fast client beside up to 1,000 stalled ones, and what these cost the server",
}


def main() -> None:
    """Run the subcommand that the first argument names; each has a module and a `--help` of its own."""
    name, *arguments = sys.argv[1:] or ["--help"]
    if name in ("-h", "--help"):
        print("usage: lab COMMAND [--help]\n\ncommands:")
        for command, text in COMMANDS.items():
            print(f"  {command:<18} {text}")
        return
    if name not in COMMANDS:
        exit_with("lab", f"no such command: {name}; it takes one of: {', '.join(COMMANDS)}")
    try:
        status = import_module(f"lab.{name.replace('-', '_')}").main(arguments)
    except KeyboardInterrupt:
        status = 130
    raise SystemExit(status)
