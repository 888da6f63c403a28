"""A dashboard: its rows of panels, its time range and its marks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from grafana_foundation_sdk.builders import dashboard as dashboards
from grafana_foundation_sdk.models import dashboard

from dashboards.panels import Panel
from dashboards.queries import DATASOURCE, SCRAPE_INTERVAL

TAG = "backpressure"
GRID_WIDTH = 24

Row: TypeAlias = tuple[int, Sequence[tuple[Panel, int]]]
"""A height, and panels from left to right, each with its width."""


class Annotation(dashboard.AnnotationQuery):
    """Marks on every panel for moments; the package's own lacks the options of Prometheus."""

    def to_json(self) -> dict[str, object]:
        """Return the annotation as Grafana 9 reads it; later ones take over what is theirs."""
        return {
            **super().to_json(),
            "step": SCRAPE_INTERVAL,
            "titleFormat": f"{{{{client}}}}: {self.name}",
            "useValueForTime": True,
        }


class AnnotationBuilder(dashboards.AnnotationQuery):
    """Builds an `Annotation`; the values of `expr` are moments, in milliseconds of Unix time.

    Grafana asks at multiples of its step, up to the last one before the end of the time range: an `expr` that shall
    miss nothing looks ahead by a step, not back.
    """

    def __init__(self, name: str, expr: str, color_name: str) -> None:
        super().__init__()
        self._internal = Annotation(
            name=name, datasource=DATASOURCE, enable=True, icon_color=color_name, expr=expr, built_in=None, hide=False
        )


def panel_address(dashboard_uid: str, panel: int | str) -> str:
    """Return the address of a panel by itself, of this Grafana, whatever its host and path."""
    return f"/d/{dashboard_uid}?viewPanel={panel}"


def board(uid: str, title: str, description: str, rows: Iterable[Row]) -> dashboards.Dashboard:
    """Return a dashboard of the last 5 minutes. Raises ValueError where a row is not as wide as the grid.

    Panels are numbered from 1, row by row.
    """
    builder = (
        dashboards.Dashboard(title)
        .uid(uid)
        .description(description)
        .tags([TAG])
        .readonly()
        .time("now-5m", "now")
        .refresh(SCRAPE_INTERVAL)
        .timepicker(dashboards.TimePicker().refresh_intervals(["5s", "10s", "30s", "1m", "5m"]))
        .tooltip(dashboard.DashboardCursorSync.CROSSHAIR)
        .timezone("browser")
        .link(
            dashboards.DashboardLink("Dashboards")
            .type(dashboard.DashboardLinkType.DASHBOARDS)
            .tags([TAG])
            .keep_time(True)
        )
    )
    number = y = 0
    for height, row in rows:
        x = 0
        for panel, width in row:
            number += 1
            builder.with_panel(panel.id(number).grid_pos(dashboard.GridPos(h=height, w=width, x=x, y=y)))
            x += width
        if x != GRID_WIDTH:
            raise ValueError(f"a row of {title} is {x} wide, not {GRID_WIDTH}")
        y += height
    return builder
