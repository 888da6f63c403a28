"""The live feed: one source per ticker for all streams, each update made, serialised and put into the log once."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence

import structlog
from prometheus_client import Counter

from flowcontrol import MessageLog, SharedMessage
from stockfeed.pace import Pace
from stockfeed.source import StockSource
from stockservice.stock_pb2 import StockUpdate

UPDATES_A_TURN = 150
"""So many are made before others get a turn of the event loop: half a millisecond, and one batch for each stream."""

REST_SECONDS = 0.0005
"""At an interval of 0, from one turn in which no stream has taken anything until the next."""

FAULTS = Counter("stock_server_feed_faults", "Updates not made, or not read for a stream, for a fault.", registry=None)

log = structlog.get_logger()


class LiveFeed:
    """Appends every update to the log, which all streams of it read. It waits for none of them.

    It begins with its first reader and goes on until the pace stops, whoever listens: a market does not wait. A source
    that fails is asked again at the next beat; the server's log says when it begins to fail, and when it works again.
    """

    def __init__(self, sources: Sequence[StockSource], pace: Pace, updates: MessageLog[SharedMessage]) -> None:
        self.source_id = uuid.uuid4().hex
        self.updates = updates
        """The log of updates, by ticker."""
        self._sources = sources
        self._pace = pace
        self._failing: set[str] = set()
        self._a_turn = 1
        """How many are made between two turns of the streams at an interval of 0: what they cannot take is dropped."""
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Begin to make updates, if that has not begun."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        made = 0
        async for beats in self._pace.beats(max(1, UPDATES_A_TURN // len(self._sources))):
            for _ in range(beats):
                for source in self._sources:
                    self._append(source)
                    made += 1
                    if made % UPDATES_A_TURN == 0:
                        await asyncio.sleep(0)
                if self._pace.goes_on and made >= self._a_turn:
                    break
            made = 0
            taken = self.updates.begin_turn()
            self._a_turn = max(1 + 2 * taken, self._a_turn - self._a_turn // 8)
            # at an interval of 0 nothing else would get a turn; and a loop that never waits is in the way of the thread
            # in which grpc does
            await asyncio.sleep(REST_SECONDS if self._pace.goes_on and not taken else 0)
        self.updates.close()

    def _append(self, source: StockSource) -> None:
        try:
            update = source.next()
            data = update.SerializeToString()
            self.updates.append(update.ticker, update.sequence, SharedMessage.of_bytes(data, StockUpdate.FromString))
        except Exception:
            FAULTS.inc()
            if source.ticker not in self._failing:
                self._failing.add(source.ticker)
                log.exception("feed.source.failed", ticker=source.ticker)
        else:
            if source.ticker in self._failing:
                self._failing.remove(source.ticker)
                log.warning("feed.source.recovered", ticker=source.ticker)


def size_of(update: SharedMessage) -> int:
    """Return an update's size in the log, in bytes."""
    return len(update.serialized(StockUpdate.SerializeToString))
