"""Docker, where its engine is there."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from lab.chaos.scene import NotTestedError


async def docker(*arguments: str) -> str:
    """Return what `docker` has printed. Raises NotTestedError where it fails: the engine, or an image, is not there."""
    program = shutil.which("docker")
    if program is None:
        raise NotTestedError("needs Docker")
    process = await asyncio.create_subprocess_exec(
        program, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    printed, complaint = await process.communicate()
    if process.returncode != 0:
        last = complaint.decode().strip().splitlines()[-1:]
        raise NotTestedError(f"needs Docker: docker {' '.join(arguments[:2])} says: {''.join(last)}")
    return printed.decode().strip()


@asynccontextmanager
async def container(*arguments: str) -> AsyncIterator[str]:
    """Hold a container that `docker run` starts with these arguments; yield its id. Raises NotTestedError."""
    await docker("info", "--format", "{{.ServerVersion}}")
    running = await docker("run", "--detach", "--pull", "never", *arguments)
    try:
        yield running
    finally:
        await docker("rm", "--force", "--volumes", running)


async def port(running: str, inside: int) -> int:
    """Return the port of 127.0.0.1 that a container's own is published on."""
    return int((await docker("port", running, str(inside))).splitlines()[0].rpartition(":")[2])
