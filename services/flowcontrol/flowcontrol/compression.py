"""Tell where messages are compressed, so that their bytes on the wire are not known."""

from __future__ import annotations

from typing import Any

import grpc

REQUEST_ALGORITHM_KEY = "grpc-internal-encoding-request"
"""Metadata in which grpc hands a call's own `compression` on to itself (grpc/_compression.py)."""


def compresses(compression: grpc.Compression | None) -> bool:
    """Tell whether messages are compressed."""
    return compression not in (None, grpc.Compression.NoCompression)


def asks_for_compression(details: Any) -> bool:
    """Tell whether the details of a call say that its requests are compressed."""
    try:
        return any(key == REQUEST_ALGORITHM_KEY and value != "identity" for key, value in details.metadata or ())
    except Exception:  # metadata of somebody else's making
        return False
