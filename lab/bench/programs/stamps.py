"""When an update was made, to the nanosecond: stamped into its padding, and read off it at the other end."""

from __future__ import annotations

import time
from array import array
from pathlib import Path

from stockfeed.source import StockSource
from stockservice.stock_pb2 import StockUpdate


def stamp_updates() -> None:
    """Let every update of this process carry the machine's monotonic clock in its padding."""
    made = StockSource.next

    def stamped(self: StockSource) -> StockUpdate:
        update = made(self)
        update.padding = time.monotonic_ns().to_bytes(8, "little")
        return update

    StockSource.next = stamped  # type: ignore[method-assign]


class Latencies:
    """Times at which updates were processed, and how long they had taken until then, in nanoseconds."""

    def __init__(self) -> None:
        self._pairs = array("q")

    def note(self, update: StockUpdate) -> None:
        """Note that an update has been processed."""
        now = time.monotonic_ns()
        self._pairs.append(now)
        self._pairs.append(now - int.from_bytes(update.padding, "little"))

    def save(self, path: Path) -> None:
        """Write all to a file."""
        path.write_bytes(self._pairs.tobytes())


def read_latencies(path: Path) -> list[tuple[int, int]]:
    """Return what was saved."""
    pairs = array("q")
    pairs.frombytes(path.read_bytes())
    return list(zip(pairs[::2], pairs[1::2], strict=True))
