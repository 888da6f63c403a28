"""What Prometheus has recorded of each client, moment after moment."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lab.stack.prometheus import Points, Prometheus

HELD_BACK_CODE = 2
"""From this value of `client:flowcontrol_state:code` on a client is held back: 2 held back, 3 stopped."""

# The recorded ones are defined in obs/prometheus/rules.
FIGURES = {
    "state": "client:flowcontrol_state:code",
    "in_flight": "client:flowcontrol_in_flight_messages:sum",
    "in_flight_bytes": "client:flowcontrol_in_flight_bytes:sum",
    "window_bytes": "client:flowcontrol_window_bytes:sum",
    "wire_bytes": "client:flowcontrol_wire_bytes:mean",
    "ceiling": "client:flowcontrol_ceiling_messages:sum",
    "bound": "client:flowcontrol_bound_messages:sum",
    "bound_bytes": "client:flowcontrol_bound_bytes:sum",
    "sent": "client:stock_updates_sent:sum",
    "processed": "client:stock_updates_processed:sum",
    "sent_per_second": "client:stock_updates_sent:rate1m",
    "missed": "client:stock_updates_missed:increase5m",
    "produced_unaccounted": "client:stock_books_produced:unaccounted",
    "received_unaccounted": "client:stock_books_received:unaccounted",
    "streams": "sum by (client) (flowcontrol_client_stream_ids)",
    "ping_seconds": (
        "max by (client) (flowcontrol_server_streams * 0 + on (job, instance) group_left ()"
        " stock_server_keepalive_time_seconds)"
    ),
    # counted, so that a span shorter than the recorded rate's minute can be judged
    "blocked_seconds": "sum by (client) (flowcontrol_server_write_blocked_seconds_total)",
}
"""Names of the figures, and what Prometheus is asked for them."""


@dataclass(frozen=True)
class Moment:
    """A client's figures at one time; NaN where Prometheus has none."""

    at_seconds: float
    figures: Mapping[str, float]

    def __getitem__(self, figure: str) -> float:
        return self.figures.get(figure, math.nan)


@dataclass(frozen=True)
class Observed:
    """A client on the streams that it has open now: from the last time on that one was opened."""

    name: str
    moments: Sequence[Moment]

    @classmethod
    def of(cls, name: str, figures: Mapping[str, Points]) -> Observed | None:
        """Return a client by what has been recorded of it; None if it has no stream now that both ends know."""
        times = sorted(set().union(*figures.values()))
        moments = [
            Moment(at, {figure: points[at] for figure, points in figures.items() if at in points}) for at in times
        ]
        if not moments or math.isnan(moments[-1]["in_flight"]) or not moments[-1]["state"]:
            return None
        began, streams = 0, moments[0]["streams"]
        for number, moment in enumerate(moments):
            if not math.isnan(moment["streams"]) and moment["streams"] != streams:
                began, streams = number, moment["streams"]
        return cls(name, moments[began:])

    @property
    def span_seconds(self) -> float:
        """Seconds from the first moment to the last."""
        return self.moments[-1].at_seconds - self.moments[0].at_seconds

    def last(self, figure: str) -> float:
        """Return a figure as it stands."""
        return self.moments[-1][figure]

    def most(self, figure: str) -> float:
        """Return the largest value of a figure; NaN where there is none."""
        return max((m[figure] for m in self.moments if not math.isnan(m[figure])), default=math.nan)

    def nearest_to_zero(self, figure: str) -> float:
        """Return the size of the value that is nearest to 0: what the two ends count differs for a moment only."""
        return min((abs(m[figure]) for m in self.moments if not math.isnan(m[figure])), default=math.nan)

    def grown(self, figure: str) -> float:
        """Return by how much a figure has grown."""
        return self.moments[-1][figure] - self.moments[0][figure]

    def newest(self, seconds: float) -> Observed:
        """Return the last so many seconds of it."""
        since = self.moments[-1].at_seconds - seconds
        return Observed(self.name, [m for m in self.moments if m.at_seconds >= since])

    def since_held_back(self) -> Observed | None:
        """Return it from when it was first held back on; None if it never was."""
        for number, moment in enumerate(self.moments):
            if moment["state"] >= HELD_BACK_CODE:
                return Observed(self.name, self.moments[number:])
        return None


async def observe(prometheus: Prometheus, seconds: float, step_seconds: float) -> list[Observed]:
    """Return the clients with an open stream that both ends know, by name, over the last `seconds`.

    Raises PrometheusError.
    """
    now = await prometheus.now()
    clients = await prometheus.by_client(FIGURES, now - seconds, now, step_seconds)
    observed = [Observed.of(name, figures) for name, figures in sorted(clients.items()) if name]
    return [client for client in observed if client is not None]


def named(clients: Sequence[Observed], name: str) -> list[Observed]:
    """Return the clients of that name, alone or followed by '-' and more: the replicas of a service."""
    return [client for client in clients if client.name == name or client.name.startswith(f"{name}-")]
