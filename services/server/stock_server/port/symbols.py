"""What reflection knows: Python's descriptor pool, and the methods and fields that it does not find by name."""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pool


class Symbols:
    """A descriptor pool in which any full name finds its file, as tools ask that were made for servers in Go."""

    def __init__(self, pool: Any = None) -> None:
        self._pool = descriptor_pool.Default() if pool is None else pool

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)

    def FindFileContainingSymbol(self, symbol: str) -> Any:  # noqa: N802 - the pool's name for it
        """Return the file that declares a message, an enum, a service, or what is in one. Raises KeyError."""
        try:
            return self._pool.FindFileContainingSymbol(symbol)
        except KeyError:
            owner, _, member = symbol.rpartition(".")
            return self._owner_of(owner, member).file

    def _owner_of(self, owner: str, member: str) -> Any:
        for find, members in (("FindServiceByName", "methods_by_name"), ("FindMessageTypeByName", "fields_by_name")):
            try:
                found = getattr(self._pool, find)(owner)
            except KeyError:
                continue
            if member in getattr(found, members):
                return found
        raise KeyError(f"{owner}.{member}")
