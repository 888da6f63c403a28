"""Certificates made for a test, in files of its folder, and the flags that name them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.certs.authority import USAGES
from lab.certs.authority import Authority as Signer


@dataclass(frozen=True)
class Pair:
    """Files of a certificate and its key."""

    certificate: Path
    key: Path

    def flags(self, prefix: str = "--tls") -> tuple[str, ...]:
        """Return the flags that name them."""
        return (f"{prefix}-certificate", str(self.certificate), f"{prefix}-key", str(self.key))

    def replace_with(self, other: Pair) -> None:
        """Put another certificate and key in the same files."""
        for mine, theirs in ((self.key, other.key), (self.certificate, other.certificate)):
            put = mine.with_suffix(".new")
            put.write_bytes(theirs.read_bytes())
            put.replace(mine)


class Authority:
    """Signs certificates, and writes them to files of a folder."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._folder = folder
        self._signer = Signer.new(name, days=2)
        self.file = folder / f"{name}.ca.crt"  # never the file of a certificate that it issues
        self.file.write_bytes(self._signer.pair.certificate)

    def issue(
        self, file: str, common_name: str, *names: str, days: float = 1, usages: Sequence[str] = tuple(USAGES)
    ) -> Pair:
        """Return a certificate for DNS names, addresses and URIs that ends in so many days; below 0: it has."""
        made = self._signer.issue(common_name, names, days, usages)
        pair = Pair(self._folder / f"{file}.crt", self._folder / f"{file}.key")
        pair.certificate.write_bytes(made.certificate)
        pair.key.write_bytes(made.key)
        return pair
