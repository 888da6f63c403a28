"""What holds for all tests: which run, which share a worker, and what is said of those that did not."""

from __future__ import annotations

import gc

import hypothesis
import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

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


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out tests marked `repeat`, unless the run asks for the marker by name."""
    if not _repeats(config):
        repeats = [item for item in items if item.get_closest_marker("repeat")]
        config.hook.pytest_deselected(items=repeats)
        items[:] = [item for item in items if item not in repeats]


def pytest_collection_finish() -> None:
    """Leave what all modules have made to no collection of garbage: it stays, and looking through it takes 0.1 s."""
    gc.freeze()


class FileByFile(LoadFileScheduling):  # type: ignore[misc]
    """Gives a worker all tests of a file, which may share a scene, and one of them all that share the one stack."""

    def _split_scope(self, nodeid: str) -> str:
        return "tests/docker" if nodeid.startswith("tests/docker/") else str(super()._split_scope(nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> FileByFile:
    """Say which tests a worker gets together; xdist_group has no effect with pytest 9.2 (pytest-xdist 3.8)."""
    return FileByFile(config, log)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say in one line what was not tested, and how to get it."""
    skipped = terminalreporter.stats.get("skipped", [])
    if line := summary(report.longrepr[-1] for report in skipped):
        terminalreporter.write_line(line, yellow=True)
