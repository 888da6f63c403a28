"""Where the client has stopped reading: what it tells the server when it comes back."""

from __future__ import annotations

from typing import Any

import grpc
import structlog

from stock_client.reading.sequence import SequenceTracker
from stockservice.stock_pb2 import ResumeFrom

RESUME_KEY = "stock-resume-bin"
"""Request metadata: a ResumeFrom, where the client has stopped reading."""

LOST_KEY = "stock-resume-lost"
"""Initial metadata of a stream that goes on there: how many updates the server does not have any more."""

REFUSALS = (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.RESOURCE_EXHAUSTED)

log = structlog.get_logger()


class Resume:
    """Says where the reading of a source that keeps its updates has stopped, as long as servers take it."""

    def __init__(self, sequences: SequenceTracker) -> None:
        self._sequences = sequences
        self._refused = False
        self._told_refused = False
        self.source_keeps = False
        """Whether the source keeps its updates, as far as is known: those made for one stream alone are not kept."""

    def metadata(self) -> tuple[tuple[str, bytes], ...]:
        """Return request metadata of the next stream."""
        refused, self._refused = self._refused, False
        sequences = self._sequences
        if refused or not self.source_keeps or sequences.source is None or not sequences.last:
            return ()
        return ((RESUME_KEY, ResumeFrom(source=sequences.source, sequences=sequences.last).SerializeToString()),)

    def note_given(self, given: Any) -> None:
        """Take in what the server says of it: its initial metadata."""
        lost = given.get(LOST_KEY, "0")
        if lost != "0":
            log.warning("stream.resume.lost", lost=lost, reason="the server has them no more: counted as dropped")

    def note_refused(self, error: grpc.aio.AioRpcError) -> None:
        """Go without, the next time, where the server could not take it: 1,000 tickers are some 20,000 bytes."""
        details = error.details() or ""
        if error.code() in REFUSALS and ("metadata" in details or RESUME_KEY in details):
            self._refused = True
            if not self._told_refused:
                self._told_refused = True
                consequence = "what is made while it is away is missed"
                log.warning("stream.resume.refused", reason=details, consequence=consequence)
