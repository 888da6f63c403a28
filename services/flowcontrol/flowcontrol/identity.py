"""Who is at the other end of a stream: what a client declares in request metadata, and what a server believes."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from flowcontrol.window import LARGEST_WINDOW_BYTES, Window

CLIENT_NAME_KEY = "flowcontrol-client-name"
STREAM_ID_KEY = "flowcontrol-stream-id"
WINDOW_KEY = "flowcontrol-window-bytes"

UNNAMED = "unnamed"
"""Label of a client that declares no name."""

INVALID = "invalid"
"""Label of a client whose declared name is not one."""

LARGEST_STREAM_ID = 2**32 - 1
"""Sums of a million such ids stay whole in a Prometheus sample (a float of 53 bits)."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


def is_client_name(text: str) -> bool:
    """Tell whether `text` may name a client: 1 to 63 letters, digits, dots, dashes, underscores; no dash first."""
    return _NAME.fullmatch(text) is not None


def is_of_grpc(method: str) -> bool:
    """Tell whether a method is gRPC's own: health, reflection and channelz have no consumer that could be slow."""
    return method.removeprefix("/").startswith("grpc.")


def method_of(details: Any) -> str:
    """Return the method that the details of a call name, without the first slash."""
    method = details.method.decode() if isinstance(details.method, bytes) else str(details.method)
    return method.removeprefix("/")


@dataclass(frozen=True, slots=True)
class Identity:
    """What a client declares of one stream."""

    client: str = UNNAMED
    stream_id: int = 0
    """A number drawn for this stream alone, so that both ends can tell that they mean the same one; 0: none."""
    window: Window | None = None
    """The client's receive window; None if it declares none."""

    @classmethod
    def for_new_stream(cls, client: str, window: Window | None) -> Identity:
        """Return an identity with a fresh stream id."""
        return cls(client, 1 + secrets.randbelow(LARGEST_STREAM_ID), window)

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """Return the request metadata that declares this."""
        window = () if self.window is None else ((WINDOW_KEY, str(self.window)),)
        return ((CLIENT_NAME_KEY, self.client), (STREAM_ID_KEY, str(self.stream_id)), *window)

    @classmethod
    def declared_in(cls, metadata: Iterable[tuple[str, str | bytes]] | None) -> Identity:
        """Read what a peer declared. Never fails: what is not valid counts as not declared, or as `INVALID`."""
        declared = {key: value for key, value in metadata or () if isinstance(value, str)}
        name = declared.get(CLIENT_NAME_KEY)
        client = UNNAMED if name is None else name if is_client_name(name) else INVALID
        return cls(
            client,
            _number_up_to(LARGEST_STREAM_ID, declared.get(STREAM_ID_KEY)),
            _window(declared.get(WINDOW_KEY)),
        )


def _number_up_to(largest: int, text: str | None) -> int:
    if text is None or len(text) > len(str(largest)) or not (text.isascii() and text.isdigit()):
        return 0
    number = int(text)
    return number if number <= largest else 0


def _window(text: str | None) -> Window | None:
    if text is None or len(text) > len(str(LARGEST_WINDOW_BYTES)):
        return None
    try:
        return Window.parse(text)
    except ValueError:
        return None
