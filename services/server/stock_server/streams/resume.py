"""Where a client says that it has stopped reading, and what becomes of that."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import grpc
import structlog
from google.protobuf.message import DecodeError
from prometheus_client import CollectorRegistry, Counter

from stockservice.stock_pb2 import ResumeFrom

RESUME_KEY = "stock-resume-bin"
"""Request metadata: a ResumeFrom, where the client has stopped reading."""

LOST_KEY = "stock-resume-lost"
"""Initial metadata of a stream that goes on there: how many updates the log does not have any more."""

RESUMED, OTHER_SOURCE = "resumed", "other_source"

log = structlog.get_logger()


class ResumeRefusedError(Exception):
    """What a client says of where it has stopped cannot be read."""

    code = grpc.StatusCode.INVALID_ARGUMENT
    details = f"{RESUME_KEY} is no stockservice.ResumeFrom"


class Resumes:
    """Counts the streams that were to go on where their client had stopped."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self._streams = Counter(
            "stock_server_resumes",
            "Streams whose client said where it had stopped, by what came of it.",
            ["result"],
            registry=registry,
        )
        self._lost = Counter(
            "stock_server_resume_lost_updates",
            "Updates that a client which came back had not got, and that the log did not have any more.",
            registry=registry,
        )
        for result in (RESUMED, OTHER_SOURCE):
            self._streams.labels(result)

    def where_stopped(
        self, metadata: Iterable[tuple[str, str | bytes]] | None, source_id: str
    ) -> Mapping[str, int] | None:
        """Return the last number of each ticker that a client has of this source; None where it says nothing of it.

        Raises ResumeRefusedError.
        """
        value = dict(metadata or ()).get(RESUME_KEY)
        if value is None:
            return None
        try:
            stopped = ResumeFrom.FromString(value if isinstance(value, bytes) else value.encode())
        except DecodeError:
            raise ResumeRefusedError from None
        if stopped.source != source_id:
            self._streams.labels(OTHER_SOURCE).inc()
            return None
        return stopped.sequences

    def note(self, client: str, lost: int) -> None:
        """Note that a stream goes on where its client had stopped, but for so many updates."""
        self._streams.labels(RESUMED).inc()
        self._lost.inc(lost)
        if lost:
            log.warning("stream.resume.lost", client=client, lost=lost, reason="the log has them no more")
