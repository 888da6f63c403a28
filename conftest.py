"""What holds for all tests: which run, which share a worker, and what is said of those that did not."""

from __future__ import annotations

import hypothesis
import pytest

from needs import summary

# no deadline: a busy machine is no defect; no database: a run leaves nothing behind that changes the next one
hypothesis.settings.register_profile("repeatable", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("repeatable")

REPEATS = 100


def _repeats(config: pytest.Config) -> bool:
    return "repeat" in (config.option.markexpr or "")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give tests that ask for it the number of the `repeat`."""
    if "repeat" in metafunc.fixturenames:
        metafunc.parametrize("repeat", range(REPEATS if _repeats(metafunc.config) else 1))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out tests marked `repeat`, unless the run asks for the marker by name; put tests of one scene together."""
    if not _repeats(config):
        repeats = [item for item in items if item.get_closest_marker("repeat")]
        config.hook.pytest_deselected(items=repeats)
        items[:] = [item for item in items if item not in repeats]
    for item in items:
        if item.get_closest_marker("docker"):
            item.add_marker(pytest.mark.xdist_group("docker"))  # there is one stack
        elif _shares_a_scene(item):
            item.add_marker(pytest.mark.xdist_group(item.location[0]))


def _shares_a_scene(item: pytest.Item) -> bool:
    """Tell whether a fixture of the tests' own lasts longer than the test."""
    fixtures = item._fixtureinfo.name2fixturedefs.values()  # type: ignore[attr-defined]
    return any(each.baseid and each.scope in ("module", "session") for found in fixtures for each in found)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say in one line what was not tested, and how to get it."""
    skipped = terminalreporter.stats.get("skipped", [])
    if line := summary(report.longrepr[-1] for report in skipped):
        terminalreporter.write_line(line, yellow=True)
