"""What holds for all tests: repeats run only where asked for, and generated cases are the same in every run."""

from __future__ import annotations

import hypothesis
import pytest

# no deadline: a busy machine is no defect; no database: a run leaves nothing behind that changes the next one
hypothesis.settings.register_profile("repeatable", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("repeatable")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out tests marked `repeat`, unless the run asks for the marker by name."""
    if "repeat" in (config.option.markexpr or ""):
        return
    repeats = [item for item in items if item.get_closest_marker("repeat")]
    if repeats:
        config.hook.pytest_deselected(items=repeats)
        items[:] = [item for item in items if item not in repeats]
