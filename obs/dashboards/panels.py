"""Panels of each kind, as all dashboards have them. Only features that Grafana 9.4 and 13 both have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from grafana_foundation_sdk.builders import bargauge, gauge, heatmap, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.models import common, dashboard
from grafana_foundation_sdk.models import heatmap as heatmap_model

from dashboards.queries import DATASOURCE, SCRAPE_INTERVAL, STATE, buckets, of_chosen, query
from dashboards.roles import BLUE, NO_DATA, NOT_KNOWN, STATES, by_threshold, fixed, known, names

Panel: TypeAlias = Any
"""A builder of a panel: the package has no common type for those of different kinds."""

CLIENT_NAME = "${__field.labels.client}"

DARKEST_CLIENTS = 2
"""From how many clients on a field of the heatmap gets no darker."""

TICKS = (100, 200, 500, 1000, 2000, 5000, 10_000)
"""Of a logarithmic scale of seconds: Grafana would call them 1.67 min and the like."""


def properties(**values: Any) -> list[dashboard.DynamicConfigValue]:
    """Return the properties of an override; a double underscore stands for the dot, as in `custom__width`."""
    return [dashboard.DynamicConfigValue(id_val=name.replace("__", "."), value=value) for name, value in values.items()]


def colored(name: str, **more: Any) -> list[dashboard.DynamicConfigValue]:
    """Return the properties of an override that gives one colour, whatever the value."""
    return properties(color={"mode": "fixed", "fixedColor": name}, **more)


def link(title: str, url: str) -> list[dashboard.DynamicConfigValue]:
    """Return the property of an override that makes values a link."""
    return properties(links=[{"title": title, "url": url}])


def _panel(builder: Panel, title: str, description: str) -> Panel:
    return builder.title(title).description(description).datasource(DATASOURCE).interval(SCRAPE_INTERVAL)


def _figure(builder: Panel, title: str, description: str) -> Panel:
    """Return a panel that is grey and says so where there is no value; over time Grafana says it by itself."""
    return _panel(builder, title, description).no_value(NO_DATA).thresholds(known()).color_scheme(by_threshold())


def _last() -> common_builders.ReduceDataOptions:
    return common_builders.ReduceDataOptions().calcs(["lastNotNull"])


def answer(title: str, description: str) -> Panel:
    """Return a panel with large values and their names, on the colour of each."""
    return (
        _figure(stat.Panel(), title, description)
        .reduce_options(_last())
        .graph_mode(common.BigValueGraphMode.NONE)
        .color_mode(common.BigValueColorMode.BACKGROUND)
        .justify_mode(common.BigValueJustifyMode.CENTER)
        .text_mode(common.BigValueTextMode.VALUE_AND_NAME)
    )


def text_size(title: int, value: int) -> common_builders.VizTextDisplayOptions:
    """Return the sizes of names and of values, in pixels."""
    return common_builders.VizTextDisplayOptions().title_size(title).value_size(value)


def named(legend: str) -> str:
    """Return a name with a space after it that stays, as a wide panel puts the value right behind it."""
    return f"{legend}:\N{NO-BREAK SPACE}"


def dial(title: str, description: str) -> Panel:
    """Return a gauge, coloured by its thresholds, with the name of the client that it shows."""
    return (
        _figure(gauge.Panel(), title, description)
        .reduce_options(_last())
        .show_threshold_markers(True)
        .display_name(CLIENT_NAME)
    )


def bars(title: str, description: str) -> Panel:
    """Return a bar for each series, with its name."""
    return (
        _figure(bargauge.Panel(), title, description)
        .reduce_options(_last())
        .orientation(common.VizOrientation.HORIZONTAL)
        .display_mode(common.BarGaugeDisplayMode.BASIC)
        .show_unfilled(True)
        .text(text_size(11, 18))
        .min(0)
    )


def lines(title: str, description: str, unit: str) -> Panel:
    """Return lines over time, from zero up, with the names below."""
    return (
        _panel(timeseries.Panel(), title, description)
        .unit(unit)
        .axis_soft_min(0)
        .line_width(2)
        .fill_opacity(0)
        .show_points(common.VisibilityMode.NEVER)
        .span_nulls(False)
        .tooltip(_tooltip())
        .legend(_legend())
    )


def _tooltip() -> common_builders.VizTooltipOptions:
    return common_builders.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI).sort(common.SortOrder.DESCENDING)


def _legend() -> common_builders.VizLegendOptions:
    return (
        common_builders.VizLegendOptions()
        .display_mode(common.LegendDisplayMode.LIST)
        .placement(common.LegendPlacement.BOTTOM)
        .show_legend(True)
    )


def logarithmic_seconds(panel: Panel) -> Panel:
    """Return the panel with a logarithmic scale of seconds, on which no tick is a crooked number of minutes."""
    scale = common_builders.ScaleDistributionConfig().type(common.ScaleDistribution.LOG).log(10)
    shown = {str(tick): dashboard.ValueMappingResult(text=f"{tick} s") for tick in TICKS}
    return panel.scale_distribution(scale).unit("s").mappings([dashboard.ValueMap(options=shown)])


def states_over_time() -> Panel:
    """Show which client was in which state, and when."""
    state = of_chosen(STATE)
    return (
        _panel(
            statetimeline.Panel(),
            "State, by client",
            "Of the ten worst. Fast: keeping up all along. Slow: held back from about a minute after it began. "
            "Blank: nothing is known.",
        )
        .with_target(query(f"{state} and on (client) topk(10, max_over_time({state}[$__range] @ end()))", "{{client}}"))
        .mappings([names(*STATES)])
        .color_scheme(fixed(NOT_KNOWN.color))
        .merge_values(True)
        .show_value(common.VisibilityMode.NEVER)
        .row_height(0.8)
        .fill_opacity(80)
        .line_width(0)
        .legend(_legend())
        .tooltip(_tooltip())
    )


def age_heatmap(selector: str = "") -> Panel:
    """Return a heatmap of the age of updates when processed.

    Every client weighs the same, and few are dark enough: by the number of updates a slow client would vanish beside
    many fast ones, for Grafana leaves out what is less than a step of its scale.
    """
    series = "client:stock_update_age_seconds_bucket:rate1m"
    of_client = series + "{" + ",".join(filter(None, (selector, 'le="+Inf"'))) + "}"
    share = f"{series}{{{selector}}} / on (client) group_left () ({of_client} > 0)"
    return (
        _panel(
            heatmap.Panel(),
            "Age when processed",
            "How old updates are when processed: the darker, the more clients, all with the same weight. "
            "Fast: one band at a few milliseconds. Slow: a second band that climbs to minutes.",
        )
        .max_data_points(60)
        .with_target(buckets(f"sum by (le) ({share})"))
        .color(
            heatmap.HeatmapColorOptions()
            .mode(heatmap_model.HeatmapColorMode.OPACITY)
            .scale(heatmap_model.HeatmapColorScale.EXPONENTIAL)
            .exponent(0.5)
            .steps(64)
            .fill(BLUE)
            .reverse(False)
            .max(DARKEST_CLIENTS)
        )
        .y_axis(heatmap.YAxisConfig().unit("s"))
        .cell_gap(1)
        .filter_values(heatmap.FilterValueRange().le(1e-9))
        .hide_legend()
    )


def rows(title: str, description: str) -> Panel:
    """Return a table; what is not known in it is a dash."""
    return _figure(table.Panel(), title, description)


def organize(names: dict[str, str], hidden: Sequence[str] = ("Time",)) -> dashboard.DataTransformerConfig:
    """Show the fields in `names` in this order under these names, and hide others."""
    return dashboard.DataTransformerConfig(
        id_val="organize",
        options={
            "excludeByName": dict.fromkeys(hidden, True),
            "indexByName": {field: index for index, field in enumerate(names)},
            "renameByName": names,
        },
    )


def cell(kind: str) -> list[dashboard.DynamicConfigValue]:
    """Return how cells are coloured: the first is Grafana 9's, the second that of later ones."""
    old = f"{kind}-solid" if kind == "color-background" else kind
    options = {"type": kind, "mode": "basic"} if kind == "color-background" else {"type": kind}
    return properties(custom__displayMode=old, custom__cellOptions=options)
