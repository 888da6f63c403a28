"""Reads many streams at once, each on a connection of its own, and looks at nothing that comes."""

from __future__ import annotations

import argparse
import asyncio
from itertools import count
from pathlib import Path
from typing import Any

import grpc

from flowcontrol import Window
from flowcontrol.identity import Identity
from lab.bench.programs.counter import open_counter

SERVICE = "/stockservice.StockService/"
POLICY_KEY = "stock-policy"


async def run(settings: argparse.Namespace) -> None:
    """Read until the process is ended; count messages."""
    window, counter, messages = Window(), open_counter(settings.counter), count(1)

    async def read(number: int) -> None:
        name = f"reader-{number}" if settings.named else "reader"
        metadata = [*Identity.for_new_stream(name, window).metadata()]
        if settings.policy:
            metadata.append((POLICY_KEY, settings.policy))
        # channels whose options are all the same would share a connection
        options = [*window.channel_options(), ("lab.number", number)]
        async with grpc.aio.insecure_channel(settings.target, options=options) as channel:
            method: Any = channel.unary_stream(SERVICE + settings.method)
            call = method(b"", metadata=metadata, wait_for_ready=True)
            while await call.read() is not grpc.aio.EOF:
                counter[0] = next(messages)

    await asyncio.gather(*(read(number) for number in range(settings.streams)))


def main() -> None:
    """Read."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", required=True)
    parser.add_argument("--counter", type=Path, required=True)
    parser.add_argument("--streams", type=int, default=1)
    parser.add_argument("--method", default="GetUpdates")
    parser.add_argument("--policy", default="")
    parser.add_argument("--named", action="store_true", help="each stream by a client's name of its own")
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
