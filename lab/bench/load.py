"""A load process: opens streams that it never reads, and reads one as fast as it can, as it is told line by line.

It uses bare `grpc.aio` with no code of the client, so that one process holds a thousand streams. Its standard input
takes `open N`, `close`, `measure SECONDS` and `flood N SECONDS` (measure while N streams are opened and filled); each
is answered by a line of JSON. It ends with its input.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import time
from itertools import count, pairwise
from typing import Any

import grpc

from flowcontrol import Window
from flowcontrol.identity import Identity

METHOD = "/stockservice.StockService/GetUpdates"
POLICY_KEY = "stock-policy"
WARM_UP_SECONDS = 0.3
"""A new stream is filled with what its window holds, faster than it can be read; that is not measured."""

LEAST_MOMENTS = 3
"""Two gaps, of which there are hundredths; on a busy machine these take longer than what is asked for."""

OPEN_AT_ONCE = 50


class Load:
    """The streams of this process."""

    def __init__(self, target: str, window: Window, *, policy: str, shared: bool) -> None:
        self._target = target
        self._window = window
        self._policy = policy
        self._numbers = count()
        self._shared = self._channel() if shared else None
        self._stalled: list[tuple[grpc.aio.Channel | None, Any]] = []

    async def open(self, streams: int) -> dict[str, float]:
        """Open streams that nothing is ever read from; each on a channel of its own, or all on one."""
        turns = asyncio.Semaphore(OPEN_AT_ONCE)
        began_at = time.perf_counter()

        async def open_one() -> None:
            async with turns:
                channel = None if self._shared else self._channel()
                call = self._call(channel or self._shared, "stalled")
                await call.initial_metadata()
                self._stalled.append((channel, call))

        await asyncio.gather(*(open_one() for _ in range(streams)))
        return {"streams": len(self._stalled), "seconds": time.perf_counter() - began_at}

    async def close(self) -> dict[str, float]:
        """End all streams that nothing is read from."""
        for channel, call in self._stalled:
            call.cancel()
            if channel is not None:
                await channel.close()
        self._stalled.clear()
        return {"streams": 0}

    async def flood(self, streams: int, seconds: float) -> dict[str, float]:
        """Measure a stream while others are opened and filled."""
        opening = asyncio.create_task(self.open(streams))
        try:
            return await self.measure(seconds)
        finally:
            await opening

    async def measure(self, seconds: float) -> dict[str, float]:
        """Read a new stream for so long; return updates per second and the gaps between updates in seconds."""
        channel = self._shared or self._channel()
        call = self._call(channel, "fast")
        try:
            began_at = time.perf_counter() + WARM_UP_SECONDS
            while time.perf_counter() < began_at:
                await call.read()
            moments = [time.perf_counter()]
            while moments[-1] < began_at + seconds or len(moments) < LEAST_MOMENTS:
                await call.read()
                moments.append(time.perf_counter())
        finally:
            call.cancel()
            if channel is not self._shared:
                await channel.close()
        gaps = [after - before for before, after in pairwise(moments)]
        hundredths = statistics.quantiles(gaps, n=100, method="inclusive")
        return {
            "updates": len(gaps),
            "updates_per_second": len(gaps) / (moments[-1] - moments[0]),
            "gap_p50_seconds": hundredths[49],
            "gap_p99_seconds": hundredths[98],
            "gap_max_seconds": max(gaps),
        }

    def _channel(self) -> grpc.aio.Channel:
        # channels whose options are all the same would share a connection
        options = [*self._window.channel_options(), ("lab.number", next(self._numbers))]
        return grpc.aio.insecure_channel(self._target, options=options)

    def _call(self, channel: Any, client: str) -> Any:
        metadata = (*Identity.for_new_stream(client, self._window).metadata(), (POLICY_KEY, self._policy))
        return channel.unary_stream(METHOD)(b"", metadata=metadata)


async def obey(load: Load) -> None:
    """Do what the lines of standard input say, until it ends."""
    lines = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        command, *arguments = line.decode().split()
        if command == "open":
            answer = await load.open(int(arguments[0]))
        elif command == "close":
            answer = await load.close()
        elif command == "flood":
            answer = await load.flood(int(arguments[0]), float(arguments[1]))
        else:
            answer = await load.measure(float(arguments[0]))
        print(json.dumps(answer), flush=True)
    await load.close()


def main() -> None:
    """Run the process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", required=True)
    parser.add_argument("--window-bytes", required=True)
    parser.add_argument("--policy", required=True)
    parser.add_argument("--shared", action="store_true", help="one channel for all streams")
    settings = parser.parse_args()

    async def run() -> None:
        load = Load(
            settings.target, Window.parse(settings.window_bytes), policy=settings.policy, shared=settings.shared
        )
        await obey(load)

    asyncio.run(run())


if __name__ == "__main__":
    main()
