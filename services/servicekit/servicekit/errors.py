"""How a command ends when it cannot do its work: one line, and an exit status."""

from __future__ import annotations

import sys
from typing import NoReturn

EXIT_USAGE = 2
"""Exit status for a setting that cannot be used, as of the usual Unix tools."""


def exit_with(program: str, message: str) -> NoReturn:
    """End the program with one line on standard error and exit status 2."""
    line = " ".join(message.split()).encode(errors="backslashreplace").decode()
    print(f"{program}: {line}", file=sys.stderr)
    raise SystemExit(EXIT_USAGE)
