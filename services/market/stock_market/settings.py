"""The market's settings: each is a flag, and an environment variable that begins with STOCK_MARKET_."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from servicekit.settings import ServiceSettings
from servicekit.values import Host, Port, Seconds, SomeSeconds
from stock_market.address import METRICS_HOST, METRICS_PORT
from stockfeed.address import NatsUrls, StreamName, Tickers
from stockfeed.bounds import StreamBounds

LARGEST_PADDING_BYTES = 900_000
"""A message stays below NATS' limit, by default 1 MiB (`max_payload`)."""


class MarketSettings(ServiceSettings):
    """Make random stock updates for all servers, and store them in a stream of NATS JetStream."""

    model_config = SettingsConfigDict(env_prefix="STOCK_MARKET_", cli_prog_name="stock-market")

    feed: NatsUrls = Field(
        "nats://localhost:4222", description="NATS, nats://HOST:PORT; several addresses separated by commas"
    )
    stream: StreamName = Field("STOCKS", description="name of the stream, 1 to 32 letters, digits, '_' or '-'")
    replicas: int = Field(1, ge=1, le=5, description="nodes of NATS that store the stream, 1 to 5; of a cluster: 3")
    keep_updates: int = Field(
        1_000_000, ge=1, le=10**12, description="updates that the stream keeps at most, 1 to 1000000000000"
    )
    keep_bytes: int = Field(
        256 * 2**20, ge=2**20, le=2**50, description="bytes that the stream keeps at most, 1048576 or more"
    )
    keep_seconds: Seconds = Field(3_600.0, description="seconds that the stream keeps an update, 1 or more; 0: no end")
    tickers: Tickers = Field("AAPL", description="symbols of the stocks, 1 to 1000 of them, separated by commas")
    update_interval_seconds: Seconds = Field(
        0.1, description="seconds between two updates of a ticker, 0 or more; 0: as fast as it goes"
    )
    padding_bytes: int = Field(
        0, ge=0, le=LARGEST_PADDING_BYTES, description=f"zeros added to each update, 0 to {LARGEST_PADDING_BYTES} bytes"
    )
    takeover_seconds: SomeSeconds = Field(
        3.0,
        description="seconds without an update of another market after which this one takes over, above 0; at least "
        "three intervals",
    )
    backoff_max_seconds: SomeSeconds = Field(4.0, description="most seconds before NATS is tried again, above 0")
    metrics_host: Host = Field(METRICS_HOST, description="address of /metrics")
    metrics_port: Port = Field(METRICS_PORT, description="port of /metrics, 0 to 65535; 0: any free one")

    @property
    def ticker_list(self) -> list[str]:
        """Symbols of the stocks."""
        return self.tickers.split(",")

    @property
    def bounds(self) -> StreamBounds:
        """What the stream keeps at most."""
        return StreamBounds(self.keep_updates, self.keep_bytes, self.keep_seconds, self.replicas)

    @property
    def silence_seconds(self) -> float:
        """Seconds without an update that say that no other market runs."""
        return max(self.takeover_seconds, 3 * self.update_interval_seconds)
