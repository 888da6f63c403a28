"""Queries of the data source, and the PromQL that panels share."""

from __future__ import annotations

from grafana_foundation_sdk.builders import prometheus
from grafana_foundation_sdk.models import dashboard
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from dashboards.roles import State

DATASOURCE = dashboard.DataSourceRef(type_val="prometheus", uid="prometheus")
SCRAPE_INTERVAL = "5s"
"""Least step of every query: there is nothing to see in between."""

CHOSEN = 'client=~"$client"'
"""Matches the clients that the variable of the dashboard says."""

OURS = 'app="backpressure"'
"""Matches what is ours among the metrics and alerts that others have too; prometheus.yml and the alerts set it."""

SERVERS_UP = f'up{{{OURS}, job="server"}}'

STATE = "client:flowcontrol_state:code"


def query(expr: str, legend: str = "", ref: str = "A") -> prometheus.Dataquery:
    """Return a query for the whole time range."""
    return _query(expr, ref).range().legend_format(legend)


def instant(expr: str, legend: str = "", ref: str = "A") -> prometheus.Dataquery:
    """Return a query for the end of the time range."""
    return _query(expr, ref).instant().legend_format(legend)


def column(expr: str, ref: str = "A") -> prometheus.Dataquery:
    """Return a query for columns of a table: one a label, and one for the value."""
    return _query(expr, ref).instant().format(PromQueryFormat.TABLE)


def buckets(expr: str) -> prometheus.Dataquery:
    """Return a query for the buckets of a histogram, over the whole time range."""
    return _query(expr, "A").range().format(PromQueryFormat.HEATMAP).legend_format("{{le}}")


def _query(expr: str, ref: str) -> prometheus.Dataquery:
    return prometheus.Dataquery().datasource(DATASOURCE).expr(expr).ref_id(ref)


def of_chosen(series: str) -> str:
    """Return a series of the chosen clients."""
    return f"{series}{{{CHOSEN}}}"


def in_states(*states: State, at: str = "", series: str = of_chosen(STATE)) -> str:
    """Return the clients in one of these states now, or `at="@ end()"`."""
    return "(" + " or ".join(f"{series} {at} == {state.code}".replace("  ", " ") for state in states) + ")"


def counted(counter: str, selector: str = "") -> str:
    """Return by how much a counter has grown in the shown time, one series each.

    increase() does not see what a process counted before Prometheus first asked it; of a younger one, all counts.
    """
    series = f"{counter}{{{selector}}}" if selector else counter
    grown = f"increase({series}[$__range])"
    young = f"({series} and on (job, instance) time() - process_start_time_seconds{{{OURS}}} < $__range_s)"
    return f"({young} > {grown} or {grown})"
