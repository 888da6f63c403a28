"""What a colour means: the same on every panel, however many clients there are.

Grey is what is not known. Nothing is green unless a value says so.
"""

from __future__ import annotations

from dataclasses import dataclass

from grafana_foundation_sdk.builders import dashboard as dashboards
from grafana_foundation_sdk.models import dashboard

GREEN, ORANGE, RED, BLUE, PURPLE = "green", "orange", "red", "blue", "purple"
DARK_RED = "dark-red"
GREY, LIGHT_GREY = "#8e8e8e", "#b4b4b4"
"""As numbers: by name Grafana has no grey that shows on light and on dark."""

CEILING = GREY
BOUND = RED
SENT = BLUE
PROCESSED = GREEN

NO_DATA = "no data"


@dataclass(frozen=True)
class State:
    """A state of a client, as `client:flowcontrol_state:code` has it."""

    code: int
    name: str
    color: str


GONE = State(0, "gone", LIGHT_GREY)
KEEPING_UP = State(1, "keeping up", GREEN)
HELD_BACK = State(2, "held back", ORANGE)
STOPPED = State(3, "stopped", RED)
WORKING_OFF = State(4, "working off", PURPLE)
NO_STREAM = State(5, "no stream", DARK_RED)
NOT_KNOWN = State(6, "not known", GREY)
STATES = (GONE, KEEPING_UP, HELD_BACK, STOPPED, WORKING_OFF, NO_STREAM, NOT_KNOWN)


def names(*states: State) -> dashboard.ValueMap:
    """Return what shows each code as its name, in its colour."""
    return dashboard.ValueMap(
        options={
            str(state.code): dashboard.ValueMappingResult(text=state.name, color=state.color, index=index)
            for index, state in enumerate(states)
        }
    )


def known(*colors: tuple[float, str]) -> dashboards.ThresholdsConfig:
    """Return colours by value, each from the value it stands beside; what has no value is grey."""
    bands = [dashboard.Threshold(value=None, color=GREY)]
    bands += [dashboard.Threshold(value=value, color=color) for value, color in colors]
    return dashboards.ThresholdsConfig().mode(dashboard.ThresholdsMode.ABSOLUTE).steps(bands)


def steps(*colors: tuple[float, str]) -> dict[str, object]:
    """Return the same for the property of an override."""
    bands = [{"value": None, "color": GREY}, *({"value": value, "color": color} for value, color in colors)]
    return {"mode": "absolute", "steps": bands}


def fixed(name: str) -> dashboards.FieldColor:
    """Return one colour, whatever the value."""
    return dashboards.FieldColor().mode(dashboard.FieldColorModeId.FIXED).fixed_color(name)


def by_threshold() -> dashboards.FieldColor:
    """Return the colour that the thresholds, or the names of values, say."""
    return dashboards.FieldColor().mode(dashboard.FieldColorModeId.THRESHOLDS)
