"""What tests need of the machine. Where it is not there they skip, all in the same words, which `summary` counts."""

from __future__ import annotations

import os
import re
import shutil
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NoReturn

import pytest

TOP = Path(__file__).parents[2]

DOCKER_ENGINE = ("a Docker Engine", "start Docker")
"""What is needed, and how to get it."""


def tool(name: str) -> str | None:
    """Return the path of a program that `make tools` installs, or of the one on the PATH, or None."""
    return shutil.which(name, path=f"{TOP / '.tools'}{os.pathsep}{os.environ['PATH']}")


def need_tool(name: str) -> str:
    """Return the path of a program that `make tools` installs; without it, skip the test."""
    return tool(name) or lack(name, "make tools")


def lack(what: str, how: str, why: str = "") -> NoReturn:
    """Skip the test, and tell how to get what it needs; fail it where CI=true, which must have all."""
    reason = f"needs {what} ({how})"
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason}, and CI=true requires it{why and f': {why}'}")
    pytest.skip(reason)


def summary(reasons: Iterable[str]) -> str:
    """Return one line on what was not tested and how to get it, by the reasons of all skips; empty without any."""
    needs: Counter[str] = Counter()
    others: Counter[str] = Counter()
    for reason in reasons:
        reason = reason.removeprefix("Skipped: ")
        found = re.fullmatch(r"needs (.+ \(.+\))", reason)
        (needs if found else others)[found[1] if found else reason] += 1
    parts = [f"{count} that need {what}" for what, count in needs.most_common()]
    parts += [f"{count} because {why}" for why, count in others.most_common()]
    return f"not tested: {', '.join(parts)}" if parts else ""
