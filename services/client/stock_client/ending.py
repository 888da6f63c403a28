"""How a stream has ended, and what the server said of coming back."""

from __future__ import annotations

from typing import Any

import grpc
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

STATUS_DETAILS_KEY = "grpc-status-details-bin"
"""Trailing metadata with a serialised google.rpc.Status."""


class StreamEndedError(Exception):
    """The stream has ended, whatever the reason: a stock stream has no end of its own."""

    def __init__(self, code: grpc.StatusCode, reason: str | None, retry_after_seconds: float = 0.0) -> None:
        super().__init__(f"{code.name}: {reason or ''}")
        self.code = code.name
        self.retry_after_seconds = retry_after_seconds
        """How long the server wants the client to stay away."""

    @classmethod
    def by_error(cls, error: grpc.aio.AioRpcError) -> StreamEndedError:
        """Return the end that an error tells, with the delay of its google.rpc.RetryInfo."""
        return cls(error.code(), error.details(), _retry_delay_seconds(error.trailing_metadata()))


def _retry_delay_seconds(trailing_metadata: Any) -> float:
    details = dict(trailing_metadata or ()).get(STATUS_DETAILS_KEY)
    if not isinstance(details, bytes):
        return 0.0
    retry = RetryInfo()
    try:
        for detail in Status.FromString(details).details:
            if detail.Unpack(retry):
                return float(max(0.0, retry.retry_delay.ToTimedelta().total_seconds()))
    except (DecodeError, ValueError, OverflowError):
        return 0.0  # whatever the peer has sent, it is no delay
    return 0.0
