"""Pings of either end as a value: they find out that a peer has vanished, which a stream held back never would."""

from __future__ import annotations

from dataclasses import dataclass

DEFAULT_TIME_SECONDS = 10.0
"""Between pings. grpc's own is never at a client, two hours at a server."""

DEFAULT_TIMEOUT_SECONDS = 10.0
"""That a ping may stay unanswered."""

LEAST_INTERVAL_SECONDS = 0.5
"""How close to each other a client's pings may come; grpc's own is five minutes, but where data is sent in between."""


@dataclass(frozen=True)
class Keepalive:
    """Ping a peer that has said nothing for `time_seconds`; after `timeout_seconds` without an answer give it up."""

    time_seconds: float = DEFAULT_TIME_SECONDS
    timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS

    def channel_options(self) -> list[tuple[str, int]]:
        """Return the options to open a client's channel with; its server must let it ping (`server_options`).

        grpc waits for an answer as long as `ping_timeout` says, by default a minute, whatever `keepalive_timeout` is.
        `max_pings_without_data` 0 lets pings go on without data frames: a client that only reads sends none.
        """
        timeout_ms = _milliseconds(self.timeout_seconds)
        return [
            ("grpc.keepalive_time_ms", _milliseconds(self.time_seconds)),
            ("grpc.keepalive_timeout_ms", timeout_ms),
            ("grpc.http2.ping_timeout_ms", timeout_ms),
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.http2.max_pings_without_data", 0),
        ]

    def server_options(self, least_interval_seconds: float = LEAST_INTERVAL_SECONDS) -> list[tuple[str, int]]:
        """Return the options to make a server with, which takes a client's pings so close to each other.

        A client whose third ping comes sooner than that, with nothing sent to it in between, is sent away
        (ENHANCE_YOUR_CALM, too_many_pings). With grpc's own five minutes that is each one that is held back and pings.
        """
        least_ms = _milliseconds(least_interval_seconds)
        return [*self.channel_options(), ("grpc.http2.min_ping_interval_without_data_ms", least_ms)]


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
