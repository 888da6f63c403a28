"""The receive window of an HTTP/2 stream as a value: the one setting that bounds a slow consumer, at either end."""

from __future__ import annotations

from dataclasses import dataclass

GRPC_PREFIX_BYTES = 5
"""Prefix of every gRPC message on the wire: a flag and the length (gRPC over HTTP/2, Length-Prefixed-Message)."""

SMALLEST_WINDOW_BYTES = 16_384
"""One HTTP/2 frame of default size (RFC 9113, section 6.5.2); below it grpc's window updates are irregular."""

LARGEST_WINDOW_BYTES = 2**31 - 1
"""Largest flow-control window that HTTP/2 has (RFC 9113, section 6.9.1)."""

DEFAULT_WINDOW_BYTES = 65_535
"""Initial window of HTTP/2 (RFC 9113, section 6.5.2)."""

AUTOTUNED_ENDS_AT_BYTES = 4 * 2**20
"""How far grpc widens a window by itself: a client that reads nothing is sent so much (measured, grpcio 1.85)."""

AUTOTUNED = "auto"
"""How an autotuned window is written in settings."""

WINDOWS_IN_FLIGHT = 2
"""Windows that can be in flight to a client that reads and then pauses; the tests have seen 1.95."""

LIBRARY_HELD_MESSAGES = 2
"""Messages that grpcio itself may hold between the transport and the application."""


def wire_bytes(message_bytes: int) -> int:
    """Return the flow-controlled length in bytes of a serialised message of `message_bytes`."""
    return message_bytes + GRPC_PREFIX_BYTES


@dataclass(frozen=True)
class Window:
    """A receive window for each stream: a number of bytes, or None where grpc tunes it by itself.

    A client's bounds what it is sent, a server's what is uploaded to it.

    Raises ValueError for a size outside `SMALLEST_WINDOW_BYTES` to `LARGEST_WINDOW_BYTES`.
    """

    size_bytes: int | None = DEFAULT_WINDOW_BYTES

    def __post_init__(self) -> None:
        size = self.size_bytes
        if size is not None and not SMALLEST_WINDOW_BYTES <= size <= LARGEST_WINDOW_BYTES:
            raise ValueError(
                f"a window is {SMALLEST_WINDOW_BYTES} to {LARGEST_WINDOW_BYTES} bytes, or '{AUTOTUNED}'; got {size}"
            )

    @classmethod
    def parse(cls, text: str | int) -> Window:
        """Return the window that a setting names: a number of bytes, or 'auto'. Raises ValueError."""
        if text == AUTOTUNED:
            return cls(None)
        try:
            size = int(text)
        except ValueError:
            raise ValueError(f"a window is a whole number of bytes or '{AUTOTUNED}'; got {text!r}") from None
        return cls(size)

    def __str__(self) -> str:
        return AUTOTUNED if self.size_bytes is None else str(self.size_bytes)

    def channel_options(self) -> list[tuple[str, int]]:
        """Return the options to open a client's channel with.

        A fixed window needs both: `grpc.http2.lookahead_bytes` sets it, and `grpc.http2.bdp_probe` = 0 stops the
        bandwidth-delay probe from widening it behind one's back (grpc/grpc issue 11966). An autotuned one needs none.
        """
        if self.size_bytes is None:
            return []
        return [("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", self.size_bytes)]

    def server_options(self) -> list[tuple[str, int]]:
        """Return the options to make a server with, for what its clients upload: the same two."""
        return self.channel_options()

    def ceiling_messages(self, message_bytes: int) -> int | None:
        """Return how many messages of `message_bytes` are sent to who reads nothing; None if autotuned."""
        if self.size_bytes is None:
            return None
        return self.size_bytes // wire_bytes(message_bytes)

    def ceiling_bytes(self, message_bytes: int) -> int | None:
        """Return the bytes on the wire of `ceiling_messages`: in (window - one message, window]; None if autotuned."""
        messages = self.ceiling_messages(message_bytes)
        return None if messages is None else messages * wire_bytes(message_bytes)

    def bound_bytes(self, message_bytes: int) -> int | None:
        """Return the most bytes that can be in flight to any reader; None if autotuned.

        While no read waits, grpcio announces once more what it had told to be free before (`pending_size_` in its
        flow_control.cc), so a reader that pauses can be sent a second window. Mostly that happens when half of the
        first has come, which makes 1.5 windows; in one case of twenty it happens later. grpcio holds up to two
        messages besides.
        """
        if self.size_bytes is None:
            return None
        return self.size_bytes * WINDOWS_IN_FLIGHT + LIBRARY_HELD_MESSAGES * wire_bytes(message_bytes)

    def bound_messages(self, message_bytes: int) -> int | None:
        """Return the most messages of `message_bytes` that can be in flight to any reader; None if autotuned."""
        bound = self.bound_bytes(message_bytes)
        return None if bound is None else bound // wire_bytes(message_bytes)
