from __future__ import annotations

import re

import pytest

from manifests import OLDEST
from needs import TOP, lack, summary
from prometheus_tools import image


def test_one_line_tells_what_was_not_tested_and_how_to_get_it():
    docker, kustomize = "Skipped: needs a Docker Engine (start Docker)", "Skipped: needs kustomize (make tools)"
    assert summary([kustomize, docker, docker, "Skipped: of the weather"]) == (
        "not tested: 2 that need a Docker Engine (start Docker), 1 that need kustomize (make tools), "
        "1 because of the weather"
    )
    assert summary([]) == ""


@pytest.mark.parametrize(("ci", "outcome"), [("", pytest.skip.Exception), ("true", pytest.fail.Exception)])
def test_what_is_not_there_skips_and_fails_in_ci(monkeypatch: pytest.MonkeyPatch, ci: str, outcome: type[Exception]):
    monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome, match=r"needs a thing \(buy one\)"):
        lack("a thing", "buy one")


def test_the_tools_are_those_that_run():
    made = dict(re.findall(r"^([A-Z_]+)=(\S+)", (TOP / "tests/tools.sh").read_text(), re.MULTILINE))
    assert image().endswith(f":v{made['PROMETHEUS']}")
    assert f"kustomize-{made['OLDEST_KUSTOMIZE']}" == OLDEST
