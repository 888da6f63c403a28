"""The arithmetic of a slow consumer: where it stops its server, when, and how old its data is by then."""

from __future__ import annotations

import math
from dataclasses import dataclass

from flowcontrol import DEFAULT_BUFFER_MESSAGES, LogBounds, Window, wire_bytes
from lab.slow_reader import KEEPALIVE_TIME_SECONDS, SlowReader
from stock_server.streams.policy import Policy

AUTOTUNED_STOPS_AT_BYTES = 4 * 2**20
"""Where grpc's own tuning of a window ends: `lab demo`, act unbounded, with grpcio 1.85."""

STREAM_MEMORY_BYTES = 33_000
"""Resident memory that a stream costs the server, most of it grpc's: `make bench-isolation`, shared channel."""

CONNECTION_MEMORY_BYTES = 16_000
"""What its connection costs besides: `make bench-isolation`, own channels less shared channel."""

QUEUED_TICKER_BYTES = 100
"""A ticker in a stream's queue under `conflate` (a dict's place); its update is shared by all streams."""

LOGGED_UPDATE_BYTES = 340
"""What an update takes in the log beside its own bytes (`tracemalloc` over 50,000 of them)."""

MESSAGE_OVERHEAD_BYTES = 33
"""What Python adds to a serialised message (`sys.getsizeof(b"")`)."""


@dataclass(frozen=True)
class Scenario:
    """A feed, a client that takes a fixed time for an update, and what stands between them."""

    message_bytes: int
    """Serialised size of an update, without the gRPC prefix."""
    updates_per_second: float
    """Made for one stream, of all tickers together."""
    processing_seconds: float
    """What the client takes for one update."""
    window: Window
    policy: Policy = Policy.PAUSE
    buffer_updates: int = DEFAULT_BUFFER_MESSAGES
    keep_updates: int = LogBounds.messages
    keep_bytes: int = LogBounds.bytes
    tickers: int = 1
    streams: int = 1
    disconnect_after_seconds: float = 5.0
    keepalive_time_seconds: float = KEEPALIVE_TIME_SECONDS
    """How often the end pings that does so more often; infinite: never."""

    @property
    def window_bytes(self) -> int:
        """The window, or where grpc's own tuning of it ends."""
        return self.window.size_bytes or AUTOTUNED_STOPS_AT_BYTES

    @property
    def ceiling_updates(self) -> int:
        """Updates that a client which reads nothing is sent."""
        return self.window_bytes // wire_bytes(self.message_bytes)

    @property
    def reader(self) -> SlowReader:
        """The client, as a reader that is slow and steady."""
        return SlowReader(
            ceiling=self.ceiling_updates,
            read_per_second=self.processed_per_second,
            ping_seconds=self.keepalive_time_seconds,
            come_meanwhile=self.updates_per_second * self.processing_seconds + self.buffered_updates,
        )

    @property
    def bound_updates(self) -> int:
        """Updates in flight to any reader, at most."""
        return Window(self.window_bytes).bound_messages(self.message_bytes) or 0

    @property
    def processed_per_second(self) -> float:
        """Updates that the client manages, at most as many as there are."""
        if self.processing_seconds == 0:
            return self.updates_per_second
        return min(self.updates_per_second, 1 / self.processing_seconds)

    @property
    def excess_per_second(self) -> float:
        """Updates that the client is too slow for; 0 where it keeps up."""
        return self.updates_per_second - self.processed_per_second

    @property
    def buffered_updates(self) -> int:
        """Updates that wait in the server; under `replay` once it has come to the most that there can be."""
        if self.policy is Policy.PAUSE:
            return 0  # an update is made when its turn has come
        if self.policy is Policy.REPLAY:
            return self.kept_updates
        return self.tickers if self.policy is Policy.CONFLATE else self.buffer_updates

    @property
    def kept_updates(self) -> int:
        """Updates that the log keeps."""
        return min(self.keep_updates, max(1, self.keep_bytes // max(1, self.message_bytes)))

    @property
    def buffer_span_seconds(self) -> float:
        """Age of the oldest update that waits in the server when its turn comes."""
        return self.buffered_updates / self.updates_per_second


@dataclass(frozen=True)
class Prediction:
    """What becomes of a scenario. Seconds count from the start of the stream; None: it never comes to that."""

    held_back: bool
    ceiling_updates: int
    ceiling_bytes: int
    in_flight_least_updates: int
    in_flight_most_updates: int
    in_flight_most_at_first_updates: int
    """To a steady reader, when its window has just been filled."""
    bound_updates: int
    bound_bytes: int
    held_back_after_seconds: float | None
    """When the server is first held back: an estimate, for the client gives its window back in steps."""
    processed_per_second: float
    dropped_per_second: float
    """Updates that the policy leaves out."""
    unmade_per_second: float
    """Updates that a source which waits does not make."""
    age_least_seconds: float
    """Age of the data when its processing is done, at the plateau: least, when least is in flight."""
    age_seconds: float
    """The same, when most is in flight."""
    age_bound_seconds: float
    """The same, for a reader that pauses: it can have all in flight that can be."""
    age_settles_after_seconds: float | None
    lag_growth: float
    """Seconds per second by which the client falls behind a source that keeps all updates and waits for nobody."""
    log_reaches_back_seconds: float
    """For so long a client may be away, and misses nothing when it is back."""
    falls_out_after_seconds: float | None
    """When a stream under `replay` begins to lose updates, for the log has them no more."""
    disconnected_after_seconds: float | None
    """When the stream is ended; the client notices once it has read what is in flight."""
    memory_per_stream_bytes: int
    """Of the server, for a stream on a connection of its own."""
    memory_bytes: int
    """Of the server, for all streams."""
    client_memory_bound_bytes: int
    """Of the client: what is in flight waits there."""


def predict(scenario: Scenario) -> Prediction:
    """Return what becomes of a scenario."""
    frame = wire_bytes(scenario.message_bytes)
    ceiling, bound = scenario.ceiling_updates, scenario.bound_updates
    excess = scenario.excess_per_second
    held_back = excess > 0
    waits = scenario.policy is Policy.PAUSE
    processing = scenario.processing_seconds
    reader = scenario.reader
    least, most, at_first = (
        (math.ceil(reader.least), math.floor(reader.most), math.floor(reader.most_at_first)) if held_back else (0, 0, 0)
    )
    held_back_after = ceiling / excess if held_back else None
    falls_out_after = _falls_out_after_seconds(scenario, held_back_after)
    waited = scenario.buffer_span_seconds if held_back else 0.0
    per_stream = CONNECTION_MEMORY_BYTES + STREAM_MEMORY_BYTES + _own_buffer_bytes(scenario)
    return Prediction(
        held_back=held_back,
        ceiling_updates=ceiling,
        ceiling_bytes=ceiling * frame,
        in_flight_least_updates=least,
        in_flight_most_updates=most,
        in_flight_most_at_first_updates=at_first,
        bound_updates=bound,
        bound_bytes=bound * frame,
        held_back_after_seconds=held_back_after,
        processed_per_second=scenario.processed_per_second,
        dropped_per_second=0.0 if waits else excess,
        unmade_per_second=excess if waits else 0.0,
        age_least_seconds=least * processing + processing,
        age_seconds=most * processing + waited + processing,
        age_bound_seconds=(bound if held_back else 0) * processing + waited + processing,
        age_settles_after_seconds=(
            max((held_back_after * scenario.updates_per_second + at_first - most) * processing, falls_out_after or 0.0)
            if held_back_after is not None
            else None
        ),
        lag_growth=excess / scenario.updates_per_second,
        log_reaches_back_seconds=scenario.kept_updates / scenario.updates_per_second,
        falls_out_after_seconds=falls_out_after,
        disconnected_after_seconds=_disconnected_after_seconds(scenario, held_back_after),
        memory_per_stream_bytes=per_stream,
        memory_bytes=per_stream * scenario.streams + _log_bytes(scenario),
        client_memory_bound_bytes=bound * frame if held_back else 0,
    )


def _disconnected_after_seconds(scenario: Scenario, held_back_after: float | None) -> float | None:
    """Return when `disconnect` ends the stream, at the earliest; None if it never does.

    The buffer counts as full until half of it has been taken, and a reader, however slow, lets a step through at once:
    where that empties half of the buffer, only one is ended that takes longer for it than the patience lasts.
    """
    if scenario.policy is not Policy.DISCONNECT or held_back_after is None:
        return None
    longest = scenario.reader.swing
    refill_seconds = min(longest, scenario.buffer_updates) / scenario.updates_per_second
    full_seconds = longest * scenario.processing_seconds - refill_seconds
    empties_half = scenario.reader.step >= scenario.buffer_updates / 2
    if empties_half and full_seconds <= scenario.disconnect_after_seconds:
        return None
    return held_back_after + scenario.buffer_span_seconds + scenario.disconnect_after_seconds


def _falls_out_after_seconds(scenario: Scenario, held_back_after: float | None) -> float | None:
    if scenario.policy is not Policy.REPLAY or held_back_after is None:
        return None
    return held_back_after + scenario.kept_updates / scenario.excess_per_second


def _own_buffer_bytes(scenario: Scenario) -> int:
    if scenario.policy is Policy.PAUSE:
        return scenario.message_bytes + MESSAGE_OVERHEAD_BYTES
    return scenario.tickers * QUEUED_TICKER_BYTES if scenario.policy is Policy.CONFLATE else 0


def _log_bytes(scenario: Scenario) -> int:
    if scenario.policy is Policy.PAUSE:
        return 0
    return scenario.kept_updates * (scenario.message_bytes + LOGGED_UPDATE_BYTES)
