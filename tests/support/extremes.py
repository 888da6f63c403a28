"""What a person or a script may give a setting, and how it must be refused where it cannot be used."""

from __future__ import annotations

import random
from typing import TypeVar

import pytest

from servicekit.settings import CommandSettings, load_settings

Settings = TypeVar("Settings", bound=CommandSettings)

EXTREMES = (
    "", " ", "0", "-0", "-1", "1e-300", "1e300", "1e999", "nan", "inf", "-inf", "2147483", "2147484", "2147483647",
    "2147483648", "9" * 400, "9" * 5_000, "0x10", "1_000", "true", "none", "None", "null", "[]", "{}", "a,,b", ",",
    "x" * 64, "x" * 300, "a..b", ".a", "a b", "a/b", "é", "日" * 70, "\udcff", "\x00", "\n", "'", "%s{}$(x)",
    "http://server:4444", "ftp://x", "dns:///", "dns:///server:4444", "server:", ":4444", "server:0", "server:99999",
    "server:4444:", "[::1]:4444", "a..b:4444", f"{'x' * 64}:4444", "1e300@1,none", "1@1e300,none", "random:0-1e300",
)  # fmt: skip


DRAWN = 25
"""Extremes that each setting is given: all of them for all settings take too long."""


def extremes_for(setting: str) -> list[str]:
    """Return extremes drawn for a setting, in every run the same."""
    return random.Random(setting).sample(EXTREMES, DRAWN)


def load(settings_type: type[Settings], arguments: list[str], capsys: pytest.CaptureFixture[str]) -> Settings | None:
    """Return the settings, or None where they are refused as they should be: exit status 2 and one line."""
    try:
        return load_settings(settings_type, arguments)
    except SystemExit as end:
        status = end.code
    written = capsys.readouterr()
    assert (status, written.out, written.err.count("\n")) == (2, "", 1), written.err
    assert len(written.err) < 1_000
    return None
