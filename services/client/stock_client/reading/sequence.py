"""What the numbers of the updates tell: a number that is missing is an update missed."""

from __future__ import annotations

from collections.abc import Mapping

LONGEST_TICKER = 64
"""Characters; a longer one is no ticker, and would cost memory."""


class SequenceTracker:
    """Follows the sequence numbers of each ticker of one source, of so many tickers at most: others cost no memory."""

    def __init__(self, max_tickers: int = 10_000) -> None:
        self._max_tickers = max_tickers
        self._source: str | None = None
        self._last: dict[str, int] = {}

    @property
    def source(self) -> str | None:
        """The source of the numbers, as the server named it."""
        return self._source

    @property
    def last(self) -> Mapping[str, int]:
        """The last number of each ticker."""
        return self._last

    def begin_stream(self, source: str | None) -> bool:
        """Note that a stream begins, from the source that the server named; return whether it is the same one again.

        Numbers of another source, or of one without a name, have nothing to do with those before.
        """
        goes_on = source is not None and source == self._source
        if not goes_on:
            self._last.clear()
        self._source = source
        return goes_on

    def is_next(self, ticker: str, sequence: int) -> bool:
        """Note an update that is the next one of its ticker; False: it is not, and has not been noted."""
        if sequence > 1 and self._last.get(ticker) == sequence - 1:
            self._last[ticker] = sequence
            return True
        return False

    def follows(self, ticker: str) -> bool:
        """Tell whether the numbers of a ticker are followed, or would be."""
        return ticker in self._last or (len(self._last) < self._max_tickers and len(ticker) <= LONGEST_TICKER)

    def skipped_before(self, ticker: str, sequence: int) -> int:
        """Return how many updates of the ticker are missing just before this one; -1: it came again, or too late.

        0 for the first of a source, for a server that does not number (0), and for a ticker that is not followed.
        """
        if sequence == 0 or not self.follows(ticker):
            return 0
        last = self._last.get(ticker)
        if last is not None and sequence <= last:
            return -1
        self._last[ticker] = sequence
        return 0 if last is None else sequence - last - 1
