"""The server's settings: each is a flag, and an environment variable that begins with STOCK_SERVER_."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from servicekit.settings import ServiceSettings

LARGEST_PADDING_BYTES = 4_000_000
"""An update stays below grpc's limit for a received message, by default 4 MiB (`grpc.max_receive_message_length`)."""


class ServerSettings(ServiceSettings):
    """Stream random stock updates over gRPC; slow clients hold their stream back by HTTP/2 flow control."""

    model_config = SettingsConfigDict(
        env_prefix="STOCK_SERVER_",
        cli_prog_name="stock-server",
        cli_shortcuts={"initial-delay-seconds": "i"},
    )

    host: str = Field("0.0.0.0", min_length=1, description="address to listen on, for gRPC and metrics")  # noqa: S104 - a service in a container is reached from outside of it
    grpc_port: int = Field(4444, ge=0, le=65535, description="gRPC port, 0 to 65535; 0: any free one")
    metrics_port: int = Field(2112, ge=0, le=65535, description="port of /metrics, 0 to 65535; 0: any free one")
    initial_delay_seconds: float = Field(
        0.0, ge=0, allow_inf_nan=False, description="seconds before the first update of a stream, 0 or more"
    )
    update_interval_seconds: float = Field(
        0.1, ge=0, allow_inf_nan=False, description="seconds between two updates, 0 or more; 0: as fast as it goes"
    )
    padding_bytes: int = Field(
        0, ge=0, le=LARGEST_PADDING_BYTES, description=f"zeros added to each update, 0 to {LARGEST_PADDING_BYTES} bytes"
    )
    max_streams: int = Field(
        2_000, ge=1, description="streams open at once, 1 or more; further ones are refused with RESOURCE_EXHAUSTED"
    )
    keepalive_time_seconds: float = Field(
        10.0, ge=1, allow_inf_nan=False, description="seconds between pings of a client, 1 or more"
    )
    keepalive_timeout_seconds: float = Field(
        10.0, ge=1, allow_inf_nan=False, description="seconds after which an unanswered ping ends a client, 1 or more"
    )
    drain_delay_seconds: float = Field(
        0.0,
        ge=0,
        allow_inf_nan=False,
        description="seconds on SIGTERM between not being ready and ending streams, 0 or more",
    )
    grace_seconds: float = Field(
        5.0, ge=0, allow_inf_nan=False, description="seconds that streams have to end on SIGTERM, 0 or more"
    )
