"""What the dashboards share: queries, panels of each kind, colours, states and the grid.

Only features that Grafana 9.4 and 13 both have.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.builders import dashboard as dashboards
from grafana_foundation_sdk.builders import gauge, heatmap, prometheus, stat, timeseries
from grafana_foundation_sdk.models import common, dashboard
from grafana_foundation_sdk.models import heatmap as heatmap_model
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

DATASOURCE = dashboard.DataSourceRef(type_val="prometheus", uid="prometheus")
SCRAPE_INTERVAL = "5s"
"""Least step of every query: there is nothing to see in between."""
CHOSEN = 'client=~"$client"'
"""Matches the clients that the variable of the dashboard says."""
TAG = "backpressure"
GRID_WIDTH = 24

GREEN, ORANGE, RED, GREY, BLUE = "green", "orange", "red", "text", "blue"
STATES = ((0, "gone", GREY), (1, "keeping up", GREEN), (2, "held back", ORANGE), (3, "stopped", RED))
"""Codes of `client:flowcontrol_state:code`."""

Panel: TypeAlias = Any
"""A builder of a panel: the package has no common type for those of different kinds."""

Row: TypeAlias = tuple[int, Sequence[tuple[Panel, int]]]
"""A height, and panels from left to right, each with its width."""


def query(expr: str, legend: str = "", ref: str = "A") -> prometheus.Dataquery:
    """Return a query for the whole time range."""
    return _query(expr, ref).range().legend_format(legend)


def instant(expr: str, legend: str = "", ref: str = "A") -> prometheus.Dataquery:
    """Return a query for the end of the time range."""
    return _query(expr, ref).instant().legend_format(legend)


def column(expr: str, ref: str = "A") -> prometheus.Dataquery:
    """Return a query for columns of a table: one a label, and one for the value."""
    return _query(expr, ref).instant().format(PromQueryFormat.TABLE)


def _query(expr: str, ref: str) -> prometheus.Dataquery:
    return prometheus.Dataquery().datasource(DATASOURCE).expr(expr).ref_id(ref)


def thresholds(*steps: tuple[float | None, str]) -> dashboards.ThresholdsConfig:
    """Return colours by value: each from the value it stands beside, the first (None) from the lowest."""
    return (
        dashboards.ThresholdsConfig()
        .mode(dashboard.ThresholdsMode.ABSOLUTE)
        .steps([dashboard.Threshold(value=value, color=color) for value, color in steps])
    )


def color(name: str) -> dashboards.FieldColor:
    """Return one fixed colour."""
    return dashboards.FieldColor().mode(dashboard.FieldColorModeId.FIXED).fixed_color(name)


def color_by_thresholds() -> dashboards.FieldColor:
    """Return the colour that the thresholds say."""
    return dashboards.FieldColor().mode(dashboard.FieldColorModeId.THRESHOLDS)


def state_mapping() -> dashboard.ValueMap:
    """Return the names and colours of a client's states."""
    return dashboard.ValueMap(
        options={
            str(code): dashboard.ValueMappingResult(text=name, color=color_name, index=code)
            for code, name, color_name in STATES
        }
    )


def properties(**values: Any) -> list[dashboard.DynamicConfigValue]:
    """Return the properties of an override; a double underscore stands for the dot, as in `custom__width`."""
    return [dashboard.DynamicConfigValue(id_val=name.replace("__", "."), value=value) for name, value in values.items()]


def last() -> common_builders.ReduceDataOptions:
    """Return how to make one value of a series: its last."""
    return common_builders.ReduceDataOptions().calcs(["lastNotNull"])


def answer(title: str, description: str) -> stat.Panel:
    """Return a panel with a large value, coloured by its thresholds."""
    return (
        stat.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .interval(SCRAPE_INTERVAL)
        .reduce_options(last())
        .graph_mode(common.BigValueGraphMode.NONE)
        .color_mode(common.BigValueColorMode.BACKGROUND)
        .justify_mode(common.BigValueJustifyMode.CENTER)
        .text_mode(common.BigValueTextMode.VALUE_AND_NAME)
        .color_scheme(color_by_thresholds())
    )


def dial(title: str, description: str) -> gauge.Panel:
    """Return a gauge, coloured by its thresholds."""
    return (
        gauge.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .interval(SCRAPE_INTERVAL)
        .reduce_options(last())
        .show_threshold_markers(True)
        .color_scheme(color_by_thresholds())
    )


def lines(title: str, description: str, unit: str) -> timeseries.Panel:
    """Return lines over time, from zero up, with the names below."""
    return (
        timeseries.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .interval(SCRAPE_INTERVAL)
        .unit(unit)
        .axis_soft_min(0)
        .line_width(2)
        .fill_opacity(0)
        .show_points(common.VisibilityMode.NEVER)
        .span_nulls(False)
        .tooltip(
            common_builders.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI).sort(common.SortOrder.DESCENDING)
        )
        .legend(
            common_builders.VizLegendOptions()
            .display_mode(common.LegendDisplayMode.LIST)
            .placement(common.LegendPlacement.BOTTOM)
            .show_legend(True)
        )
    )


def logarithmic(panel: timeseries.Panel) -> timeseries.Panel:
    """Return the panel with a logarithmic scale."""
    scale = common_builders.ScaleDistributionConfig().type(common.ScaleDistribution.LOG).log(10)
    return panel.scale_distribution(scale)


def age_heatmap(buckets: str) -> heatmap.Panel:
    """Return a heatmap of the age of updates when processed, all clients together; `buckets` is a recorded series."""
    return (
        heatmap.Panel()
        .title("Age when processed")
        .description(
            "How old updates are when their processing is done: the darker a field, the more updates a second. "
            "Fast: one band at a few milliseconds. Slow: a second band that climbs to minutes."
        )
        .datasource(DATASOURCE)
        .interval(SCRAPE_INTERVAL)
        .max_data_points(60)
        .with_target(
            _query(f"sum by (le) ({buckets})", "A").range().format(PromQueryFormat.HEATMAP).legend_format("{{le}}")
        )
        .color(
            heatmap.HeatmapColorOptions()
            .mode(heatmap_model.HeatmapColorMode.OPACITY)
            .scale(heatmap_model.HeatmapColorScale.EXPONENTIAL)
            .exponent(0.3)
            .steps(64)
            .fill("dark-orange")
            .reverse(False)
        )
        .y_axis(heatmap.YAxisConfig().unit("s").decimals(0))
        .cell_gap(1)
        .filter_values(heatmap.FilterValueRange().le(1e-9))
        .hide_legend()
    )


class Annotation(dashboard.AnnotationQuery):
    """Marks on every panel for the moments at which a query has a value; the package's own lacks its options."""

    def to_json(self) -> dict[str, object]:
        """Return the annotation as Grafana 9 reads it; later ones take over what is theirs."""
        return {**super().to_json(), "step": SCRAPE_INTERVAL, "titleFormat": f"{{{{client}}}}: {self.name}"}


class AnnotationBuilder(dashboards.AnnotationQuery):
    """Builds an `Annotation`."""

    def __init__(self, name: str, expr: str, color_name: str) -> None:
        super().__init__()
        self._internal = Annotation(
            name=name, datasource=DATASOURCE, enable=True, icon_color=color_name, expr=expr, built_in=None, hide=False
        )


def board(uid: str, title: str, description: str, rows: Iterable[Row]) -> dashboards.Dashboard:
    """Return a dashboard of the last 5 minutes. Raises ValueError where a row is not as wide as the grid."""
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
