"""Reads one stream by the byte, faster than any client in Python decodes it, and counts the bytes of its messages.

It gives a window of 2 GiB once, answers what a server asks, and looks at nothing but the head of each frame.
"""

from __future__ import annotations

import argparse
import socket
import struct
from pathlib import Path

from lab.bench.programs.counter import open_counter

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, SETTINGS, PING, WINDOW_UPDATE = 0, 1, 4, 6, 8
INITIAL_WINDOW_SIZE = 4
ACK, END_STREAM, END_HEADERS = 1, 1, 4
LARGEST_WINDOW = 2**31 - 1
DEFAULT_WINDOW = 65_535
HEAD_BYTES = 9
EMPTY_MESSAGE = struct.pack(">BI", 0, 0)


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Return a frame (RFC 9113, section 4.1)."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def request(method: str, authority: str) -> bytes:
    """Return all that a client sends to call a method with an empty message."""
    fields = {
        ":method": "POST",
        ":scheme": "http",
        ":path": f"/stockservice.StockService/{method}",
        ":authority": authority,
        "te": "trailers",
        "content-type": "application/grpc",
        "flowcontrol-window-bytes": str(DEFAULT_WINDOW),
    }
    # literals that are in no table (RFC 7541, section 6.2.2), each shorter than 127 bytes
    block = b"".join(
        b"\x00" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()
        for name, value in fields.items()
    )
    return b"".join((
        PREFACE,
        frame(SETTINGS, 0, 0, struct.pack(">HI", INITIAL_WINDOW_SIZE, LARGEST_WINDOW)),
        frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", LARGEST_WINDOW - DEFAULT_WINDOW)),
        frame(HEADERS, END_HEADERS, 1, block),
        frame(DATA, END_STREAM, 1, EMPTY_MESSAGE),
    ))  # fmt: skip


def read(connection: socket.socket, counter: memoryview) -> None:
    """Count the bytes of DATA until the connection ends."""
    held, counted = bytearray(), 0
    while received := connection.recv(1 << 20):
        held += received
        at = 0
        while len(held) - at >= HEAD_BYTES:
            length = int.from_bytes(held[at : at + 3], "big")
            end = at + HEAD_BYTES + length
            if end > len(held):
                break
            kind, flags = held[at + 3], held[at + 4]
            if kind == DATA:
                counted += length
            elif kind == SETTINGS and not flags & ACK:
                connection.sendall(frame(SETTINGS, ACK, 0))
            elif kind == PING and not flags & ACK:
                connection.sendall(frame(PING, ACK, 0, bytes(held[at + HEAD_BYTES : end])))
            at = end
        del held[:at]
        counter[0] = counted


def main() -> None:
    """Read until the process is ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", required=True)
    parser.add_argument("--counter", type=Path, required=True)
    parser.add_argument("--method", default="GetUpdates")
    settings = parser.parse_args()
    host, _, port = settings.target.rpartition(":")
    with socket.create_connection((host.strip("[]"), int(port))) as connection:
        connection.sendall(request(settings.method, settings.target))
        read(connection, open_counter(settings.counter))


if __name__ == "__main__":
    main()
