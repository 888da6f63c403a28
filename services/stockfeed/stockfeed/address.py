"""How a stream is called, and where: what settings say of it. NATS itself is not imported for this."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator

LARGEST_TICKERS = 1_000
MOST_NODES = 16
PORT = 4222


def subjects_of(stream: str) -> str:
    """Return what matches the subjects of all tickers."""
    return f"{stream}.>"


def subject_of(stream: str, ticker: str) -> str:
    """Return the subject of a ticker; a dot in it would be two levels."""
    return f"{stream}.{ticker.replace('.', '_')}"


def without_secrets(urls: str) -> str:
    """Return addresses as they may be logged."""
    return ",".join(f"{each.hostname}:{each.port or PORT}" for each in map(urlsplit, urls.split(",")))


def check_stream(name: str) -> str:
    """Return the name of a stream. Raises ValueError where it can be none."""
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,32}", name):
        raise ValueError("a stream's name is 1 to 32 letters, digits, '_' or '-'")
    return name


def check_urls(urls: str) -> str:
    """Return addresses of NATS, separated by commas. Raises ValueError."""
    if urls.count(",") >= MOST_NODES:
        raise ValueError(f"at most {MOST_NODES} addresses")
    for url in urls.split(","):
        parts = urlsplit(url)
        if parts.scheme not in ("nats", "tls") or not _has_host(parts) or re.search(r"[\s\x00-\x1f\x7f]", url):
            raise ValueError("an address is nats://HOST:PORT or tls://HOST:PORT, with USER:PASSWORD@ before the host")
        if parts.path.strip("/") or parts.query or parts.fragment:
            raise ValueError("behind the port of an address there is nothing")
    return urls


def check_tickers(text: str) -> str:
    """Return symbols separated by commas. Raises ValueError."""
    tickers = text.split(",")
    if not all(re.fullmatch(r"[A-Z0-9.-]{1,12}", ticker) for ticker in tickers):
        raise ValueError("a ticker is 1 to 12 capital letters, digits, '.' or '-'")
    if len(set(tickers)) < len(tickers) or len(tickers) > LARGEST_TICKERS:
        raise ValueError(f"tickers are all different, and at most {LARGEST_TICKERS}")
    return text


def _has_host(parts: SplitResult) -> bool:
    port = parts.port  # raises ValueError where it is no number, or none of a port
    host = parts.hostname or ""
    return bool(re.fullmatch(r"[A-Za-z0-9.:_-]{1,253}", host)) and ".." not in host and port != 0


NatsUrls = Annotated[str, AfterValidator(check_urls)]
StreamName = Annotated[str, AfterValidator(check_stream)]
Tickers = Annotated[str, AfterValidator(check_tickers)]
