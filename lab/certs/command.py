"""Make the certificates of the stack, for development: an authority, and one for each service."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from lab.certs.authority import Authority, Pair
from lab.console import new_console
from servicekit.errors import exit_with
from servicekit.settings import CommandSettings, load_settings
from servicekit.values import Folder

HERE = ("localhost", "127.0.0.1", "::1")

NAMES: dict[str, tuple[str, ...]] = {
    "server": ("server", *HERE),
    "client": ("client",),
    "slow-client": ("slow-client",),
    "prometheus": ("prometheus", *HERE),
    "metrics": ("metrics", "server", "client", "slow-client", *HERE),
}
"""For whom: the first name is what a client goes by."""

AUTHORITY_DAYS = 3_650


class CertsSettings(CommandSettings):
    """Make the certificates of the stack, for development: an authority, kept where there is one, and what it signs."""

    model_config = SettingsConfigDict(cli_prog_name="lab certs")

    out: Folder = Field(
        Path("certs"), description="folder to write to: tls.crt, tls.key and ca.crt in one for each service"
    )
    days: int = Field(365, ge=1, le=3_650, description="days that the certificates are valid, 1 to 3650")


def main(arguments: Sequence[str]) -> int:
    """Write the files; who runs already takes them over. Return exit status 0."""
    settings = load_settings(CertsSettings, arguments)
    try:
        written = _write(settings)
    except (OSError, ValueError) as error:
        exit_with("lab certs", f"--out: {error}")
    console = new_console()
    for folder, names in written.items():
        console.print(f"  {folder}: {', '.join(names)}", highlight=False)
    return 0


def _write(settings: CertsSettings) -> dict[Path, tuple[str, ...]]:
    # nobody else comes past this folder; those inside are mounted into containers, whose users are others
    settings.out.mkdir(parents=True, exist_ok=True)
    settings.out.chmod(0o700)
    authority = _authority(settings.out / "ca.crt", settings.out / "ca.key")
    written = {}
    for name, names in NAMES.items():
        folder = settings.out / name
        folder.mkdir(exist_ok=True)
        folder.chmod(0o755)
        _write_pair(authority.issue(name, names, settings.days), folder / "tls.crt", folder / "tls.key", 0o644)
        _replace(folder / "ca.crt", authority.pair.certificate, 0o644)
        written[folder] = names
    return written


def _authority(certificate: Path, key: Path) -> Authority:
    if certificate.exists() and key.exists():
        authority = Authority.read(certificate, key)
        if authority.says_all:
            return authority
        authority = authority.renewed(AUTHORITY_DAYS)
    else:
        authority = Authority.new("backpressure development", AUTHORITY_DAYS)
    _write_pair(authority.pair, certificate, key, 0o600)
    return authority


def _write_pair(pair: Pair, certificate: Path, key: Path, key_mode: int) -> None:
    _replace(key, pair.key, key_mode)
    _replace(certificate, pair.certificate, 0o644)


def _replace(path: Path, content: bytes, mode: int) -> None:
    """Put a file in place whole: who reads meanwhile has the old one or the new."""
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        os.fchmod(file.fileno(), mode)  # whatever the umask
        file.write(content)
    new.replace(path)
