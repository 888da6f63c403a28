"""What values settings take: each type refuses what would fail later, or mean something else than was meant."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

LONGEST_SECONDS = 2_147_483
"""Twenty-four days: grpc's options are milliseconds in 32 bits."""

LONGEST_HOST = 253
"""Characters of a name in DNS (RFC 1035, section 2.3.4)."""

LONGEST_FILE_NAME = 255
"""Bytes of a file's name (NAME_MAX of Linux)."""

ADDRESS_SCHEMES = ("dns", "ipv4", "ipv6", "unix", "unix-abstract", "vsock", "xds")
"""How a target may begin that grpc resolves (doc/naming.md of grpc)."""

Seconds = Annotated[float, Field(ge=0, le=LONGEST_SECONDS, allow_inf_nan=False)]
"""Seconds from 0 on."""

SomeSeconds = Annotated[float, Field(gt=0, le=LONGEST_SECONDS, allow_inf_nan=False)]
"""Seconds above 0."""

SecondsFromOne = Annotated[float, Field(ge=1, le=LONGEST_SECONDS, allow_inf_nan=False)]
"""One second or more."""

Port = Annotated[int, Field(ge=0, le=65_535)]
"""A port to listen on; 0: any free one."""


def check_host(host: str) -> str:
    """Return the name or address of a host. Raises ValueError where it can be none."""
    if not host or len(host) > LONGEST_HOST or re.search(r"[\s/\x00-\x1f\x7f]", host):
        raise ValueError(f"a host is 1 to {LONGEST_HOST} characters, none of them a space or a slash")
    try:
        host.encode("idna")
    except UnicodeError:
        raise ValueError("each part of a host's name, between its dots, is 1 to 63 characters") from None
    return host


def check_target(target: str) -> str:
    """Return where a client connects to: HOST:PORT, or an address with a scheme of grpc's. Raises ValueError."""
    scheme, found, rest = target.partition("://")
    if found:
        if scheme not in ADDRESS_SCHEMES or not rest.strip("/"):
            raise ValueError(f"HOST:PORT has no scheme; grpc's own are {', '.join(ADDRESS_SCHEMES)}")
        return target
    host, found, port = target.rpartition(":")
    if not found or not re.fullmatch(r"[0-9]{1,5}", port) or not 1 <= int(port) <= 65_535:
        raise ValueError("a port is a number from 1 to 65535, behind the last ':'")
    check_host(host.removeprefix("[").removesuffix("]"))
    return target


def check_url(url: str) -> str:
    """Return an address of the web, http or https. Raises ValueError."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or re.search(r"[\s\x00-\x1f\x7f]", url):
        raise ValueError("it begins with http:// or https://, and has a host")
    check_host(parts.hostname)
    if parts.port == 0:  # one beyond 65535 is refused where it is read
        raise ValueError("Port out of range 1-65535")
    return url


def check_folder(folder: Path) -> Path:
    """Return a folder that is there, or can be made. Raises ValueError."""
    if "\0" in str(folder) or any(len(part.encode()) > LONGEST_FILE_NAME for part in folder.parts):
        raise ValueError("no folder can have this name")
    there = folder.absolute()
    while not os.path.lexists(there):
        there = there.parent
    if not there.is_dir():
        raise ValueError(f"{there} is no folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise ValueError(f"nothing may be written to {there}")
    return folder


Host = Annotated[str, AfterValidator(check_host)]
Target = Annotated[str, AfterValidator(check_target)]
Url = Annotated[str, AfterValidator(check_url)]
Folder = Annotated[Path, AfterValidator(check_folder)]
