"""The limits that grpc keeps: of connections, their age and idle time, and of what a request carries."""

from __future__ import annotations

from stock_server.settings import ServerSettings

NEVER_MS = 2**31 - 1

OLD_STREAM_SECONDS = 60.0
"""A stream that has been told its end has so long until it has gone through: a slow client reads what is before it."""

AGE_SPREAD = 0.2
"""grpc draws a connection's age, and `admission` a stream's, a tenth more or less than was set."""


def limit_options(settings: ServerSettings) -> list[tuple[str, int]]:
    """Return options of the server's connections.

    Of a connection that is too old grpc tells its client, which opens no more streams on it; those that are open are
    ended by `admission`, whose status comes behind all that is in flight. grpc would cut them off. What `admission`
    counts of metadata it refuses itself, up to twice as much; beyond that grpc does, with the same status.
    """
    age = settings.max_connection_age_seconds
    return [
        ("grpc.max_allowed_incoming_connections", settings.max_connections),
        ("grpc.max_connection_age_ms", _milliseconds(age)),
        ("grpc.max_connection_age_grace_ms", _milliseconds(age and age * AGE_SPREAD + OLD_STREAM_SECONDS)),
        ("grpc.max_connection_idle_ms", _milliseconds(settings.max_connection_idle_seconds)),
        ("grpc.max_metadata_size", 2 * settings.max_metadata_bytes),
        ("grpc.absolute_max_metadata_size", 2 * settings.max_metadata_bytes),
        ("grpc.max_receive_message_length", settings.max_request_bytes),
    ]


def _milliseconds(seconds: float) -> int:
    return min(NEVER_MS, round(seconds * 1000)) if seconds else NEVER_MS
