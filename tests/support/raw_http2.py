"""Speaks HTTP/2 by the byte, to say what no client of grpc's would."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, SETTINGS = 0, 1, 4
INITIAL_WINDOW_SIZE = 4
END_STREAM, END_HEADERS = 1, 4


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Return a frame (RFC 9113, section 4.1)."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def literal(name: bytes, value: bytes) -> bytes:
    """Return a header field that is in no table (RFC 7541, section 6.2.2); both are shorter than 127 bytes."""
    return b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value


def request(path: bytes, message: bytes | None = None, window_bytes: int = 65_535) -> bytes:
    """Return all that a client sends to call a method, and nothing more: with a message, or without one."""
    fields = {
        b":method": b"POST",
        b":scheme": b"http",
        b":path": path,
        b":authority": b"test",
        b"te": b"trailers",
        b"content-type": b"application/grpc",
    }
    block = b"".join(literal(name, value) for name, value in fields.items())
    begun = PREFACE + frame(SETTINGS, 0, 0, struct.pack(">HI", INITIAL_WINDOW_SIZE, window_bytes))
    if message is None:
        return begun + frame(HEADERS, END_HEADERS | END_STREAM, 1, block)
    body = struct.pack(">BI", 0, len(message)) + message
    return begun + frame(HEADERS, END_HEADERS, 1, block) + frame(DATA, END_STREAM, 1, body)


@contextmanager
def sent(port: int, data: bytes) -> Iterator[socket.socket]:
    """Send bytes to a port of this host; the connection stays open as long as the context."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(data)
        yield connection
