"""Stand in for an object of grpc's, or of a neighbour's, and be the same in all but what is measured."""

from __future__ import annotations

from typing import Any


class Proxy:
    """Has the original's attributes, and its class as far as `isinstance` asks; a subclass says what differs."""

    __slots__ = ("__weakref__", "_flowcontrol_original")

    _flowcontrol_original: Any

    def __init__(self, original: Any) -> None:
        object.__setattr__(self, "_flowcontrol_original", original)

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return type(self._flowcontrol_original)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._flowcontrol_original, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._flowcontrol_original, name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self._flowcontrol_original, name)
