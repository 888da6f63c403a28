"""What the server says of slow consumers: to them when it ends their stream, and to its log."""

from __future__ import annotations

from dataclasses import asdict

import grpc
import structlog
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.rpc.code_pb2 import RESOURCE_EXHAUSTED
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

from flowcontrol import ConsumerEvent

REASON = "SLOW_CONSUMER"
DOMAIN = "stockservice"

log = structlog.get_logger()


def status(
    behind_seconds: float, buffer_updates: int, retry_delay_seconds: float
) -> tuple[grpc.StatusCode, str, tuple[tuple[str, str | bytes], ...]]:
    """Return code, details and trailing metadata that end the stream of a client which has been behind for too long.

    The metadata carry google.rpc.ErrorInfo and RetryInfo (google.rpc.Status in `grpc-status-details-bin`).
    """
    details = [Any(), Any()]
    info = {"behind_seconds": f"{behind_seconds:.3f}", "buffer_updates": str(buffer_updates)}
    details[0].Pack(ErrorInfo(reason=REASON, domain=DOMAIN, metadata=info))
    delay = Duration()
    delay.FromNanoseconds(round(retry_delay_seconds * 1e9))
    details[1].Pack(RetryInfo(retry_delay=delay))
    text = (
        f"the client has been behind for {behind_seconds:.1f} s, its buffer of {buffer_updates} updates full; "
        f"it may come back in {retry_delay_seconds:g} s"
    )
    ended = rpc_status.to_status(Status(code=RESOURCE_EXHAUSTED, message=text, details=details))
    return ended.code, ended.details, tuple(ended.trailing_metadata)


def report(event: ConsumerEvent) -> None:
    """Log that a client became held back, stopped, or recovered."""
    fields = asdict(event)
    became = fields.pop("became")
    log.warning(f"consumer.{became}", **{name: _short(value) for name, value in fields.items()})


def _short(value: object) -> object:
    return round(value, 3) if isinstance(value, float) else value
