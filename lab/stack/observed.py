"""What Prometheus has recorded of each client, moment after moment."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from lab.stack.prometheus import Points, Prometheus
from lab.stack.states import STATE, State

# The recorded ones are defined in obs/prometheus/rules.
FIGURES = {
    "state": STATE,
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
        "min by (client) (max by (client, job) (flowcontrol_server_streams * 0 + on (job, instance) group_left ()"
        " stock_server_keepalive_time_seconds) or max by (client, job) (stock_client_keepalive_time_seconds))"
    ),
    # counted, so that a span shorter than the recorded rate's minute can be judged
    "blocked_seconds": "sum by (client) (flowcontrol_server_write_blocked_seconds_total)",
    "blocked_at": "max by (client) (timestamp(flowcontrol_server_write_blocked_seconds_total))",
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
    """A client on the streams that it has open now: from the last time on that one was opened, to the end."""

    name: str
    state: State
    """At the end."""
    moments: Sequence[Moment]

    @classmethod
    def of(cls, name: str, figures: Mapping[str, Points], since_seconds: float) -> Observed:
        """Return a client by what has been recorded of it; what is older than `since_seconds` is not how it is now."""
        times = sorted(set().union(*figures.values()))
        moments = [
            Moment(at, {figure: points[at] for figure, points in figures.items() if at in points}) for at in times
        ]
        if not moments or moments[-1].at_seconds < since_seconds:
            moments.append(Moment(since_seconds, {}))
        began, streams = 0, moments[0]["streams"]
        for number, moment in enumerate(moments):
            if not math.isnan(moment["streams"]) and moment["streams"] != streams:
                began, streams = number, moment["streams"]
        return cls(name, State.of(moments[-1]["state"]), moments[began:])

    @property
    def is_comparable(self) -> bool:
        """Whether it has an open stream that both ends know now."""
        return self.state.has_stream and not math.isnan(self.last("in_flight"))

    @property
    def words(self) -> str:
        """How it is, for a person."""
        if self.state.has_stream and not self.is_comparable:
            return f"{self.state.words}, by the server alone: both ends do not mean the same streams"
        return self.state.words

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
        """Return by how much a figure has grown since it was first known; NaN where it is not known at the end."""
        first = next((m[figure] for m in self.moments if not math.isnan(m[figure])), math.nan)
        return self.last(figure) - first

    def newest(self, seconds: float) -> Observed:
        """Return the last so many seconds of it."""
        since = self.moments[-1].at_seconds - seconds
        return replace(self, moments=[m for m in self.moments if m.at_seconds >= since])

    def since_known(self, figure: str) -> Observed:
        """Return it from when a figure is known, else as it is: one end is asked seconds before the other."""
        known = (number for number, moment in enumerate(self.moments) if not math.isnan(moment[figure]))
        return replace(self, moments=self.moments[next(known, 0) :])

    def since_held_back(self) -> Observed | None:
        """Return it from when it is held back, without a break; None if it is not. What is not known is no break."""
        since: int | None = None
        for number, moment in enumerate(self.moments):
            state = State.of(moment["state"])
            if state.is_held_back and since is None:
                since = number
            elif state is State.KEEPING_UP:
                since = None
        return None if since is None else replace(self, moments=self.moments[since:])


async def observe(prometheus: Prometheus, seconds: float, step_seconds: float) -> list[Observed]:
    """Return the clients that anything is known of, by name, over the last `seconds`. Raises PrometheusError."""
    now = await prometheus.now()
    clients = await prometheus.by_client(FIGURES, now - seconds, now, step_seconds)
    return [Observed.of(name, figures, now - step_seconds) for name, figures in sorted(clients.items()) if name]


def named(clients: Sequence[Observed], name: str) -> list[Observed]:
    """Return the clients of that name, alone or followed by '-' and more: the replicas of a service.

    One that has gone counts only where none is left: replicas come and go.
    """
    found = [client for client in clients if client.name == name or client.name.startswith(f"{name}-")]
    here = [client for client in found if client.state is not State.GONE]
    return here or found
