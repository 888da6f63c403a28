"""What a server holds: to be as before, once whatever has been done to it is over."""

from __future__ import annotations

from dataclasses import dataclass

import httpx
import psutil

from lab.chaos.figures import figures
from lab.processes.services import Service
from lab.verdict import Claim, at_most

MORE_MEMORY_BYTES = 2_000_000
"""What the allocators of a server may keep that has done the same before: 100 streams that are not let go take 5 MB."""


@dataclass(frozen=True)
class Held:
    """What a server holds at one moment."""

    memory_bytes: int
    descriptors: int
    threads: int
    streams: float
    series: int

    @classmethod
    async def by(cls, server: Service, http: httpx.AsyncClient) -> Held:
        """Return what a server holds now. Raises httpx.HTTPError."""
        now = await figures(http, server)
        process = psutil.Process(server.process.pid)
        descriptors, threads = process.num_fds(), process.num_threads()
        return cls(process.memory_info().rss, descriptors, threads, now.sum("stock_server_streams"), now.series())

    def as_before(self, before: Held, more_memory_bytes: float = MORE_MEMORY_BYTES) -> list[Claim]:
        """Claim that nothing is left over."""
        return [
            at_most("bytes of memory more", self.memory_bytes - before.memory_bytes, more_memory_bytes),
            at_most("streams more", self.streams - before.streams, 0),
            # a scrape may be under way, or a connection just be closing
            at_most("descriptors more", self.descriptors - before.descriptors, 2),
            at_most("threads more", self.threads - before.threads, 2),
            at_most("series of clients more", self.series - before.series, 0),
        ]
