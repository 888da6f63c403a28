"""The client's settings: each is a flag, and an environment variable that begins with STOCK_CLIENT_."""

from __future__ import annotations

import re
import socket
from typing import Literal

from pydantic import Field, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from flowcontrol import DEFAULT_WINDOW_BYTES, Keepalive, Window, is_client_name
from flowcontrol.keepalive import DEFAULT_TIME_SECONDS, DEFAULT_TIMEOUT_SECONDS
from servicekit.settings import ServiceSettings, names_of
from servicekit.tls.files import TlsFiles, load
from servicekit.tls.peer_name import proven_name
from servicekit.values import Host, Port, Seconds, SecondsFromOne, SomeSeconds, Target
from stock_client.address import METRICS_HOST, METRICS_PORT
from stock_client.reading.processing import GRAMMAR, Processing

Policy = Literal["pause", "replay", "conflate", "drop-oldest", "disconnect"]


def default_name() -> str:
    """Return the host's name, which in a container or a pod is the replica's own."""
    name = re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname())[:63]
    return name if is_client_name(name) else "client"


class ClientSettings(ServiceSettings):
    """Read a stream of stock updates over gRPC, as fast or as slowly as told."""

    model_config = SettingsConfigDict(
        env_prefix="STOCK_CLIENT_",
        cli_prog_name="stock-client",
        cli_shortcuts={"random-processing-time": "r"},
    )

    server_address: Target = Field(
        "localhost:4444",
        description="HOST:PORT of the server, whose name may resolve to several addresses",
    )
    tls_ca: str | None = Field(
        None, description="file with the authorities to know the server by, in PEM; unset: no TLS"
    )
    tls_certificate: str | None = Field(
        None, description="file with the client's own certificate, and its chain, in PEM, for a server that asks for it"
    )
    tls_key: str | None = Field(None, description="file with the key of that certificate, in PEM")
    tls_server_name: Host | None = Field(
        None, description="name that the server's certificate must have; unset: the host of the server's address"
    )
    name: str = Field(
        "{host}",
        description="name in the server's metrics, 1 to 63 letters, digits, '.', '_', '-', where {host} stands for the "
        "host's name",
    )
    metrics_host: Host = Field(METRICS_HOST, description="address of /metrics")
    metrics_port: Port = Field(METRICS_PORT, description="port of /metrics, 0 to 65535; 0: any free one")
    window_bytes: str = Field(
        str(DEFAULT_WINDOW_BYTES),
        coerce_numbers_to_str=True,
        description="receive window of the stream, 16384 to 2147483647 bytes, or auto: grpc tunes it, without a bound",
    )
    processing: str = Field("none", coerce_numbers_to_str=True, description=f"time to process an update: {GRAMMAR}")
    random_processing_time: bool = Field(
        False, description="as in the original program: the same as --processing random"
    )
    log_updates: bool = Field(True, description="log every update that has been processed, at level info")
    log_updates_per_second: int = Field(
        1_000,
        ge=0,
        le=1_000_000_000,
        description="updates a second up to which each is logged, 0 to 1000000000; beyond that there is a summary each "
        "second; 0: always",
    )
    batches: bool = Field(
        False, description="ask for several updates in a message where several wait; of a server without, single ones"
    )
    policy: Policy | None = Field(
        None,
        description="what to get when too slow: pause, replay, conflate, drop-oldest, disconnect; the server's by "
        "default",
    )
    ready_within_seconds: SomeSeconds = Field(
        60.0, description="seconds without a stream from which on the client is not ready, above 0"
    )
    max_update_bytes: int = Field(
        4_194_304,
        ge=1_024,
        le=2_147_483_647,
        description="largest update, 1024 to 2147483647 bytes; a larger one ends the stream; of a batch, besides, a "
        "quarter of the window",
    )
    max_tickers: int = Field(
        10_000,
        ge=1,
        le=10_000_000,
        description="tickers whose numbers are followed, 1 to 10000000; what is missed of others is not known",
    )
    keepalive_time_seconds: SecondsFromOne = Field(
        DEFAULT_TIME_SECONDS, description="seconds without a word of the server before it is pinged, 1 or more"
    )
    keepalive_timeout_seconds: SecondsFromOne = Field(
        DEFAULT_TIMEOUT_SECONDS, description="seconds after which an unanswered ping ends the connection, 1 or more"
    )
    backoff_initial_seconds: SomeSeconds = Field(
        0.5,
        description="most seconds before the first reconnect, above 0; doubles each time",
    )
    backoff_max_seconds: SomeSeconds = Field(4.0, description="most seconds before any reconnect, above 0")
    retry_after_max_seconds: Seconds = Field(
        60.0,
        description="most seconds that a server may tell the client to stay away, 0 or more",
    )

    @field_validator("name")
    @classmethod
    def _is_a_name(cls, name: str) -> str:
        name = name.replace("{host}", default_name())
        if not is_client_name(name):
            raise ValueError("not a client's name")
        return name

    @field_validator("window_bytes")
    @classmethod
    def _is_a_window(cls, text: str) -> str:
        Window.parse(text)
        return text

    @field_validator("processing")
    @classmethod
    def _is_processing(cls, text: str) -> str:
        Processing.parse(text)
        return text

    @model_validator(mode="after")
    def _one_processing(self) -> ClientSettings:
        if self.random_processing_time and self.processing not in ("none", "random"):
            raise ValueError("--random-processing-time and --processing exclude each other")
        return self

    @property
    def tls(self) -> TlsFiles:
        """The files of the connection to the server."""
        fields = ("tls_certificate", "tls_key", "tls_ca")
        return TlsFiles(self.tls_certificate, self.tls_key, self.tls_ca, fields, as_client=True)

    @property
    def all_tls(self) -> tuple[TlsFiles, ...]:
        """The files of the connection and of the metrics port."""
        return (self.tls, *super().all_tls)

    @property
    def proven_name(self) -> str:
        """The name to go by: the certificate's where there is one, as a server that asks for it does."""
        presented = load(self.tls).presented
        if presented is None:
            return self.name
        return proven_name(presented.dns, presented.uris, presented.common_names, self.name) or self.name

    @model_validator(mode="after")
    def _certificate_needs_tls(self) -> ClientSettings:
        for field in ("tls_certificate", "tls_server_name"):
            if getattr(self, field) is not None and self.tls_ca is None:
                raise ValueError(
                    f"{names_of(type(self), 'tls_ca')}: it is not set, but {field} is; without it is no TLS"
                )
        return self

    @property
    def window(self) -> Window:
        """The receive window of the stream."""
        return Window.parse(self.window_bytes)

    @property
    def keepalive(self) -> Keepalive:
        """The client's pings."""
        return Keepalive(self.keepalive_time_seconds, self.keepalive_timeout_seconds)

    @property
    def schedule(self) -> Processing:
        """How long each update takes."""
        return Processing.parse("random" if self.random_processing_time else self.processing)
