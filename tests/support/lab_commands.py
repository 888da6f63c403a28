"""The commands of the lab, and their settings."""

from __future__ import annotations

from importlib import import_module

from lab.main import COMMANDS
from servicekit.settings import CommandSettings


def settings_of(name: str) -> type[CommandSettings]:
    """Return the settings of a command."""
    module = import_module(f"lab.{COMMANDS[name][0]}")
    (settings_type,) = (
        each
        for each in vars(module).values()
        if isinstance(each, type) and issubclass(each, CommandSettings) and each.__module__ == module.__name__
    )
    return settings_type
