from __future__ import annotations

import pytest

from waiting import until, until_blocking


async def test_returns_the_first_state_that_meets_the_condition():
    states = iter(range(10))
    assert await until(lambda: next(states), lambda state: state >= 3, every_seconds=0) == 3


async def test_takes_a_coroutine_function():
    states = iter(range(10))

    async def probe() -> int:
        return next(states)

    assert await until(probe, lambda state: state == 2, every_seconds=0) == 2


async def test_fails_with_the_last_state():
    with pytest.raises(AssertionError, match=r"not within 0.01 s: a seven; last state: 6"):
        await until(lambda: 6, lambda state: state == 7, within_seconds=0.01, every_seconds=0.001, what="a seven")


def test_an_exception_to_retry_on_is_a_state():
    def refused() -> int:
        raise ConnectionRefusedError("nobody there")

    with pytest.raises(AssertionError, match="nobody there"):
        until_blocking(refused, within_seconds=0.01, every_seconds=0.001, retry_on=OSError)


def test_any_other_exception_ends_the_wait_at_once():
    def broken() -> int:
        raise KeyError("typo")

    with pytest.raises(KeyError):
        until_blocking(broken, retry_on=OSError)
