"""A number that one process writes and another reads: it costs the writer a store."""

from __future__ import annotations

import mmap
from pathlib import Path

SIZE = 8


def new_counter(path: Path) -> memoryview:
    """Return a counter at 0 in a new file; its only item is the number."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(SIZE))
    return open_counter(path)


def open_counter(path: Path) -> memoryview:
    """Return the counter in a file."""
    with path.open("r+b") as file:
        return memoryview(mmap.mmap(file.fileno(), SIZE)).cast("q")
