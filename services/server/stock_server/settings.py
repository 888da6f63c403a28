"""The server's settings: each is a flag, and an environment variable that begins with STOCK_SERVER_."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from flowcontrol import DEFAULT_BUFFER_MESSAGES, Keepalive, LogBounds, is_client_name
from flowcontrol.keepalive import DEFAULT_TIME_SECONDS, DEFAULT_TIMEOUT_SECONDS, LEAST_INTERVAL_SECONDS
from servicekit.settings import ServiceSettings, names_of
from servicekit.tls.files import TlsFiles
from servicekit.values import Host, Port, Seconds, SecondsFromOne, SomeSeconds
from stock_server.address import GRPC_PORT, HOST, METRICS_PORT
from stock_server.streams.policy import Policy
from stock_server.streams.service import Limits
from stockfeed.address import Tickers

LARGEST_PADDING_BYTES = 4_000_000
"""An update stays below grpc's limit for a received message, by default 4 MiB (`grpc.max_receive_message_length`)."""

LARGEST_KEPT_UPDATES = 100_000_000
LARGEST_KEPT_BYTES = 2**40

LARGEST_STREAMS = 1_000_000
"""No process has so many descriptors; grpc's limits are numbers of 32 bits."""

PolicyName = Literal["pause", "replay", "conflate", "drop-oldest", "disconnect"]
"""The values of `Policy`: of an enum, --help would show the names and not the values."""


class ServerSettings(ServiceSettings):
    """Stream random stock updates over gRPC; slow clients hold their stream back by HTTP/2 flow control."""

    model_config = SettingsConfigDict(
        env_prefix="STOCK_SERVER_",
        cli_prog_name="stock-server",
        cli_shortcuts={"initial-delay-seconds": "i"},
    )

    host: Host = Field(HOST, description="address to listen on, for gRPC and metrics")
    grpc_port: Port = Field(GRPC_PORT, description="gRPC port, 0 to 65535; 0: any free one")
    metrics_port: Port = Field(METRICS_PORT, description="port of /metrics, 0 to 65535; 0: any free one")
    tls_certificate: str | None = Field(
        None, description="file with the certificate of the gRPC port, and its chain, in PEM; unset: no TLS there"
    )
    tls_key: str | None = Field(None, description="file with the key of that certificate, in PEM")
    tls_client_ca: str | None = Field(
        None,
        description="file with the authorities of clients' certificates, in PEM; set: only clients that have one may "
        "connect, and go by the name in it",
    )
    initial_delay_seconds: Seconds = Field(0.0, description="seconds before the first update of a stream, 0 or more")
    update_interval_seconds: Seconds = Field(
        0.1, description="seconds between two updates, 0 or more; 0: as fast as it goes"
    )
    padding_bytes: int = Field(
        0, ge=0, le=LARGEST_PADDING_BYTES, description=f"zeros added to each update, 0 to {LARGEST_PADDING_BYTES} bytes"
    )
    max_streams: int = Field(
        2_000,
        ge=1,
        le=LARGEST_STREAMS,
        description=f"streams open at once, 1 to {LARGEST_STREAMS}; further ones are refused with RESOURCE_EXHAUSTED",
    )
    expected_clients: str = Field(
        "",
        description="clients that should have a stream, names separated by commas, each meaning that name alone or "
        "followed by '-' and more; empty: none in particular",
    )
    max_streams_per_client: int = Field(
        1_000,
        ge=1,
        le=LARGEST_STREAMS,
        description=f"streams open at once of one client's name, 1 to {LARGEST_STREAMS}; further ones are refused",
    )
    max_connections: int = Field(
        4_000,
        ge=1,
        le=LARGEST_STREAMS,
        description=f"connections at once, 1 to {LARGEST_STREAMS}; further ones are closed without a word",
    )
    max_connection_age_seconds: Seconds = Field(
        0.0, description="seconds that a stream and a connection last, a tenth more or less; 0: no end"
    )
    max_connection_idle_seconds: Seconds = Field(
        300.0, description="seconds that a connection without a stream lasts; 0: no end"
    )
    max_metadata_bytes: int = Field(
        32_768,
        ge=1_024,
        le=1_048_576,
        description="metadata of a request, 1024 to 1048576 bytes; a client of 1000 tickers that is back sends 24000",
    )
    max_request_bytes: int = Field(
        65_536, ge=1_024, le=4_194_304, description="size of a request, 1024 to 4194304 bytes; larger ones are refused"
    )
    reflection: bool = Field(True, description="tell whoever asks what services there are (gRPC reflection)")
    channelz: bool = Field(True, description="tell whoever asks of all connections and streams (gRPC channelz)")
    tickers: Tickers = Field("AAPL", description="symbols of the stocks, 1 to 1000 of them, separated by commas")
    policy: PolicyName = Field(
        "pause", description="what a client gets that is too slow: pause, replay, conflate, drop-oldest or disconnect"
    )
    allowed_policies: str = Field(
        ",".join(Policy), description="policies that a client may ask for instead, separated by commas"
    )
    buffer_updates: int = Field(
        DEFAULT_BUFFER_MESSAGES,
        ge=1,
        le=1_000_000,
        description="updates that wait for a client under drop-oldest and disconnect, 1 to 1000000",
    )
    disconnect_after_seconds: Seconds = Field(
        5.0,
        description="seconds with so many waiting after which disconnect ends a stream, 0 or more",
    )
    retry_delay_seconds: Seconds = Field(
        1.0, description="seconds that a disconnected client is told to stay away, 0 or more"
    )
    keep_updates: int = Field(
        LogBounds.messages,
        ge=1,
        le=LARGEST_KEPT_UPDATES,
        description=f"updates that the live feed's log keeps for those who read late or come back, 1 to "
        f"{LARGEST_KEPT_UPDATES}",
    )
    keep_bytes: int = Field(
        LogBounds.bytes,
        ge=1_024,
        le=LARGEST_KEPT_BYTES,
        description=f"bytes of updates that it keeps, 1024 to {LARGEST_KEPT_BYTES}; each takes 340 more in memory",
    )
    keep_seconds: Seconds = Field(
        0.0, description="seconds for which it keeps an update, 0 or more; 0: as long as there is room"
    )
    held_back_share: float = Field(
        0.5, gt=0, le=1, description="share of 10 s with writes blocked from which a client counts as held back, 0 to 1"
    )
    stopped_after_seconds: SomeSeconds = Field(
        120.0,
        description="seconds with one write blocked until a client counts as stopped",
    )
    keepalive_time_seconds: SecondsFromOne = Field(
        DEFAULT_TIME_SECONDS, description="seconds between pings of a client, 1 or more"
    )
    keepalive_timeout_seconds: SecondsFromOne = Field(
        DEFAULT_TIMEOUT_SECONDS, description="seconds after which an unanswered ping ends a client, 1 or more"
    )
    min_ping_interval_seconds: Seconds = Field(
        LEAST_INTERVAL_SECONDS,
        description="seconds that a client lets pass between two pings while nothing is sent to it, 0 or more; one "
        "that does not is sent away",
    )
    drain_delay_seconds: Seconds = Field(
        0.0,
        description="seconds on SIGTERM between not being ready and ending streams, 0 or more",
    )
    grace_seconds: Seconds = Field(5.0, description="seconds that streams have to end on SIGTERM, 0 or more")

    @field_validator("expected_clients")
    @classmethod
    def _are_client_names(cls, text: str) -> str:
        for name in text.split(",") if text else ():
            if not is_client_name(name):
                raise ValueError(f"not a client's name: '{name}'")
        return text

    @field_validator("allowed_policies")
    @classmethod
    def _are_policies(cls, text: str) -> str:
        for name in text.split(","):
            if name not in set(Policy):
                raise ValueError(f"no such policy: '{name}'")
        return text

    @model_validator(mode="after")
    def _buffer_is_of_the_log(self) -> ServerSettings:
        if self.buffer_updates > self.keep_updates:
            kept = names_of(type(self), "keep_updates")
            raise ValueError(
                f"{names_of(type(self), 'buffer_updates')}: {self.buffer_updates} updates cannot wait in a log of "
                f"{self.keep_updates} ({kept})"
            )
        return self

    @property
    def tls(self) -> TlsFiles:
        """The files of the gRPC port."""
        fields = ("tls_certificate", "tls_key", "tls_client_ca")
        return TlsFiles(self.tls_certificate, self.tls_key, self.tls_client_ca, fields)

    @property
    def all_tls(self) -> tuple[TlsFiles, ...]:
        """The files of all ports."""
        return (self.tls, *super().all_tls)

    @property
    def keepalive(self) -> Keepalive:
        """The server's pings."""
        return Keepalive(self.keepalive_time_seconds, self.keepalive_timeout_seconds)

    @property
    def ticker_list(self) -> list[str]:
        """Symbols of the stocks."""
        return self.tickers.split(",")

    @property
    def expected_client_list(self) -> list[str]:
        """Names of the expected clients, each once."""
        return list(dict.fromkeys(self.expected_clients.split(","))) if self.expected_clients else []

    @property
    def log_bounds(self) -> LogBounds:
        """What the log of the live feed keeps."""
        return LogBounds(self.keep_updates, self.keep_bytes, self.keep_seconds)

    @property
    def limits(self) -> Limits:
        """What streams may have; the server's own policy is always allowed."""
        return Limits(
            max_streams=self.max_streams,
            max_streams_per_client=self.max_streams_per_client,
            max_age_seconds=self.max_connection_age_seconds,
            max_metadata_bytes=self.max_metadata_bytes,
            policy=Policy(self.policy),
            allowed_policies=frozenset({Policy(self.policy), *map(Policy, self.allowed_policies.split(","))}),
            buffer_updates=self.buffer_updates,
            disconnect_after_seconds=self.disconnect_after_seconds,
            retry_delay_seconds=self.retry_delay_seconds,
        )
