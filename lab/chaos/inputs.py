"""What nobody should send to a port, drawn by a generator with a seed: the same seed sends the same."""

from __future__ import annotations

import random
import ssl
import struct
from collections.abc import Callable

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, END_HEADERS = 1, 4

LARGEST_BYTES = 4_000
PATH = b"/stockservice.StockService/GetUpdates"
HTTP1 = b"GET /metrics HTTP/1.1\r\nHost: chaos\r\nAccept: */*\r\nAccept-Encoding: gzip\r\n\r\n"

NO_TEXT_EVERY = 500
"""Of hostile requests, one has a path that is no text: it ends grpc's accept loop, and a new server takes the port."""


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Return a frame (RFC 9113, section 4.1)."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def field(name: bytes, value: bytes) -> bytes:
    """Return a header field that is in no table (RFC 7541, section 6.2.2)."""
    return b"\x00" + _length(len(name)) + name + _length(len(value)) + value


def request(path: bytes, *more: tuple[bytes, bytes]) -> bytes:
    """Return a whole call of a method, with more metadata."""
    head = [
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":path", path),
        (b":authority", b"chaos"),
        (b"te", b"trailers"),
        (b"content-type", b"application/grpc"),
    ]
    block = b"".join(field(name, value) for name, value in (*head, *more))
    body = frame(DATA, END_STREAM, 1, bytes(5))
    return PREFACE + frame(SETTINGS, 0, 0) + frame(HEADERS, END_HEADERS, 1, block) + body


class Inputs:
    """Draws inputs of all kinds."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - what is bad, no secret
        self._requests = 0
        self.kinds: dict[str, Callable[[], bytes]] = {
            "bytes": self._bytes,
            "http1": lambda: self._mutated(HTTP1),
            "tls": _client_hello,
            "mutated": lambda: self._mutated(request(PATH)),
            "frames": self._frames,
            "flood": self._flood,
            "metadata": self._metadata,
            "nothing": bytes,
        }

    def draw(self) -> bytes:
        """Return the next input."""
        return self.kinds[self._random.choice(tuple(self.kinds))]()

    def _bytes(self) -> bytes:
        return self._random.randbytes(self._random.randrange(LARGEST_BYTES))

    def _mutated(self, whole: bytes) -> bytes:
        """Return what is right but for some bytes: changed, left out, doubled, or cut off."""
        changed = bytearray(whole)
        for _ in range(self._random.randint(1, 8)):
            at = self._random.randrange(len(changed))
            match self._random.randrange(4):
                case 0:
                    changed[at] = self._random.randrange(256)
                case 1:
                    del changed[at : at + self._random.randint(1, 16)]
                case 2:
                    changed[at:at] = changed[at : at + self._random.randint(1, 64)]
                case _:
                    del changed[at + 1 :]
            if not changed:
                return b""
        return bytes(changed)

    def _frames(self) -> bytes:
        """Return frames of any kind, in any order, on any stream."""
        draw = self._random
        frames = [
            frame(
                draw.randrange(12),
                draw.randrange(256),
                draw.choice([0, 1, 3, 2**31 - 1]),
                draw.randbytes(draw.randrange(64)),
            )
            for _ in range(draw.randint(1, 20))
        ]
        return PREFACE + frame(SETTINGS, 0, 0) + b"".join(frames)

    def _flood(self) -> bytes:
        """Return many frames that each ask for an answer: pings, settings, or streams that are reset at once."""
        begun = PREFACE + frame(SETTINGS, 0, 0)
        match self._random.randrange(3):
            case 0:
                return begun + frame(PING, 0, 0, bytes(8)) * 500
            case 1:
                return begun + frame(SETTINGS, 0, 0) * 500
        call = request(PATH)[len(begun) :]
        block = call[9 : 9 + int.from_bytes(call[:3], "big")]
        cancelled = struct.pack(">I", 8)
        return begun + b"".join(
            frame(HEADERS, END_HEADERS, stream, block) + frame(RST_STREAM, 0, stream, cancelled)
            for stream in range(1, 200, 2)
        )

    def _metadata(self) -> bytes:
        """Return a call with a path, a client's name, a window or a policy that is none."""
        draw = self._random
        self._requests += 1
        odd = bytes(draw.randrange(0x20, 0x7F) for _ in range(draw.randrange(300)))
        if self._requests % NO_TEXT_EVERY == 0:
            return request(PATH + b"\xff\xfe")
        names = (
            b"flowcontrol-client-name",
            b"flowcontrol-stream-id",
            b"flowcontrol-window-bytes",
            b"stock-policy",
            b"grpc-timeout",
        )
        return request(draw.choice([PATH, PATH, b"/" + odd[:50], odd[:50]]), (draw.choice(names), odd))


def _length(length: int) -> bytes:
    """Return a length with a prefix of 7 bits (RFC 7541, section 5.1)."""
    if length < 127:
        return bytes([length])
    rest, encoded = length - 127, [127]
    while rest >= 128:
        encoded.append(rest % 128 + 128)
        rest //= 128
    return bytes([*encoded, rest])


def _client_hello() -> bytes:
    """Return what a client that speaks TLS says first."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    talk = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="chaos")
    try:
        talk.do_handshake()
    except ssl.SSLWantReadError:
        return outgoing.read()
    raise AssertionError("a handshake takes two")
