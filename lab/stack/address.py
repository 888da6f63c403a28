"""Where Prometheus and Grafana of this checkout's stack listen: as Compose says, else as its settings say."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from lab.stack.compose import COMPOSE_FILE

COMPOSE_SECONDS = 20.0
"""How long Compose may take to name a port; mostly it takes less than one."""

INSIDE = {"prometheus": 9090, "grafana": 3000}
"""The services, and their ports in their containers."""


class AddressError(Exception):
    """A setting of the stack is no port; the text is one line for a person."""


class Ports(BaseSettings):
    """The settings of compose.yaml that publish the ports, from the environment and from .env."""

    model_config = SettingsConfigDict(env_file=COMPOSE_FILE.parent / ".env", env_ignore_empty=True, extra="ignore")

    prometheus_port: int = Field(INSIDE["prometheus"], ge=0, le=65_535)
    grafana_port: int = Field(INSIDE["grafana"], ge=0, le=65_535)


@dataclass(frozen=True)
class Address:
    """Where to ask, and who says so."""

    url: str
    hint: str
    """For an error: what named this address, and which setting names another."""
    given: bool = False
    """Somebody has asked for this very address."""


def address_of(service: str, given_url: str | None, setting: str) -> Address:
    """Return where a service of the stack listens; `setting` names what `given_url` was set by. Raises AddressError."""
    if given_url is not None:
        return Address(given_url, f"{setting} names it", given=True)
    another = f"{setting} names another"
    published = _published(service)
    if published is not None:
        return Address(published, f"docker compose port {service} {INSIDE[service]} names it, {another}")
    variable, port = f"{service.upper()}_PORT", _port(service)
    if port == 0:
        raise AddressError(f"{variable}=0 takes any free port, and docker compose does not say which; {another}")
    named_by = "it is the default" if port == INSIDE[service] else f"{variable}={port} names it"
    return Address(f"http://127.0.0.1:{port}", f"{named_by}, {another}")


def _published(service: str) -> str | None:
    """Return the address of a service that runs; None where Compose, or the service, is not there."""
    docker = shutil.which("docker")
    if docker is None or not COMPOSE_FILE.exists():
        return None
    try:
        answer = subprocess.run(
            [docker, "compose", "port", service, str(INSIDE[service])],
            cwd=COMPOSE_FILE.parent, capture_output=True, text=True, check=False, timeout=COMPOSE_SECONDS,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.fullmatch(r"(\S+):([1-9][0-9]*)", answer.stdout.strip())
    if answer.returncode != 0 or found is None:
        return None
    host = "127.0.0.1" if found[1] in ("0.0.0.0", "[::]", "::") else found[1]  # noqa: S104 - it is asked, not listened on
    return f"http://{host}:{found[2]}"


def _port(service: str) -> int:
    try:
        return int(getattr(Ports(), f"{service}_port"))
    except ValidationError as error:
        problem = error.errors()[0]
        name = str(problem["loc"][0]).upper()
        raise AddressError(f"{name}: {problem['input']!r} is no port; it takes 0 to 65535") from None
