"""The stack of compose.yaml in a project of its own, with data of its own, beside one that may run already."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
from collections.abc import Mapping
from pathlib import Path

COMPOSE_FILE = Path(__file__).parents[2] / "compose.yaml"


class ComposeError(Exception):
    """Docker Compose is not there, or has failed; the text is one line for a person."""


class Stack:
    """A project of Docker Compose. Settings are environment variables; they win over the user's `.env`."""

    def __init__(self, project: str, settings: Mapping[str, str], log: Path) -> None:
        self._project = project
        self._log = log
        others = {name: value for name, value in os.environ.items() if not name.startswith(("STOCK_", "SLOW_"))}
        self.environment = {**others, **settings}

    async def build(self) -> None:
        """Build the images, all of them: one service may use what another builds. Raises ComposeError."""
        # not as this project, by whose name Compose would label them: they would be others than those of the user's own
        await self._compose("build")

    async def up(self, *services: str) -> None:
        """Start services and those they depend on. Raises ComposeError."""
        await self._run("up", "--detach", *services)

    async def down(self) -> None:
        """End all services, and remove their data. Raises ComposeError."""
        await self._run("down", "--volumes", "--remove-orphans", "--timeout", "5")

    async def _run(self, command: str, *arguments: str) -> None:
        await self._compose("--project-name", self._project, command, *arguments)

    async def _compose(self, *arguments: str) -> None:
        docker = shutil.which("docker")
        if docker is None or not COMPOSE_FILE.exists():
            what = "docker" if docker is None else str(COMPOSE_FILE)
            raise ComposeError(f"{what} is not there: it takes Docker with Compose, and a checkout of the repository")
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("a") as log:
            # a session of its own: Ctrl-C is for the lab, which then ends the stack
            process = await asyncio.create_subprocess_exec(
                docker, "compose", *arguments,
                cwd=COMPOSE_FILE.parent, env=self.environment, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
            try:
                status = await process.wait()
            except asyncio.CancelledError:
                process.terminate()
                await process.wait()
                raise
        if status != 0:
            last = [line for line in self._log.read_text().splitlines() if line.strip()][-1:]
            raise ComposeError(f"docker compose {' '.join(arguments)} has failed: {''.join(last)}; see {self._log}")


def port_near(wanted: int) -> int:
    """Return a port of 127.0.0.1: the one wanted, or any free one where that is taken."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise ComposeError("127.0.0.1 has no free port")
