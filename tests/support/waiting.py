"""The one way in which tests wait: for a condition, with a deadline, and with the last state in the failure.

In a coroutine `until`, elsewhere `until_blocking`; any test imports them from `waiting`.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar, cast

State = TypeVar("State")

WITHIN_SECONDS = 60.0
EVERY_SECONDS = 0.01
SELDOMER = 0.05
"""A wait looks again after this share of the time that it has waited: what is slow to come is not asked for so often
that the asking takes the processor from it."""
SELDOMEST_SECONDS = 0.5


async def until(
    probe: Callable[[], State | Awaitable[State]],
    condition: Callable[[State], object] = bool,
    *,
    within_seconds: float = WITHIN_SECONDS,
    every_seconds: float = EVERY_SECONDS,
    retry_on: type[Exception] | tuple[type[Exception], ...] = (),
    what: str = "",
) -> State:
    """Return the first state of `probe`, a function or a coroutine function, that meets `condition`.

    It looks every `every_seconds`, and less often the longer it has waited. An exception of `retry_on` counts as a
    state that does not. Raises AssertionError with the last state after `within_seconds`. `what` names in the failure
    what was waited for.
    """
    began_at = time.monotonic()
    deadline = began_at + within_seconds
    while True:
        try:
            state = probe()
            if inspect.isawaitable(state):
                state = await asyncio.wait_for(state, max(0.001, deadline - time.monotonic()))
            if condition(cast(State, state)):
                return cast(State, state)
            last: object = state
        except retry_on as error:
            last = error
        if time.monotonic() >= deadline:
            raise AssertionError(_failure(what, within_seconds, last))
        await asyncio.sleep(_pause(began_at, every_seconds))


def until_blocking(
    probe: Callable[[], State],
    condition: Callable[[State], object] = bool,
    *,
    within_seconds: float = WITHIN_SECONDS,
    every_seconds: float = EVERY_SECONDS,
    retry_on: type[Exception] | tuple[type[Exception], ...] = (),
    what: str = "",
) -> State:
    """Do what `until` does, for tests without an event loop."""
    began_at = time.monotonic()
    deadline = began_at + within_seconds
    while True:
        try:
            state = probe()
            if condition(state):
                return state
            last: object = state
        except retry_on as error:
            last = error
        if time.monotonic() >= deadline:
            raise AssertionError(_failure(what, within_seconds, last))
        time.sleep(_pause(began_at, every_seconds))


def _pause(began_at: float, every_seconds: float) -> float:
    return max(every_seconds, min(SELDOMER * (time.monotonic() - began_at), SELDOMEST_SECONDS))


def _failure(what: str, within_seconds: float, last: object) -> str:
    return f"not within {within_seconds:g} s{what and ': '}{what}; last state: {last!r}"
