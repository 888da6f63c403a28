"""The machine that something is measured on: what its figures belong to, and how many files a process may open."""

from __future__ import annotations

import os
import platform
import resource
from importlib.metadata import version

from servicekit.errors import exit_with


def machine() -> dict[str, str | int]:
    """Return what a figure must be read with."""
    return {
        "cores": os.cpu_count() or 0,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "grpcio": version("grpcio"),
    }


def allow_open_files(count: int, program: str, remedy: str) -> None:
    """Let this process, and those that it starts, open so many files; end the program where it may not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= count:
        return
    if hard != resource.RLIM_INFINITY and hard < count:
        exit_with(program, f"needs {count} open files a process, and may have {hard} (ulimit -Hn); {remedy}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))
