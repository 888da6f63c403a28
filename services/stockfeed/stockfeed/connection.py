"""Connections to NATS, and what goes wrong with them, told in a line."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

import nats
import nats.errors
import nats.js.errors
from nats.aio.client import Client

from stockfeed.address import without_secrets

CONNECT_SECONDS = 3
WRONG_LAST_SEQUENCE = 10_071
"""JetStream's code (JSStreamWrongLastSequenceErrF): somebody else has published meanwhile."""
NO_STREAM = 10_059
"""JetStream's code (JSStreamNotFoundErr)."""
REFUSALS = {10_052, 10_058, 10_065, 10_074}
"""JetStream's codes of configurations that it will never take: invalid, another one of that name, subjects of another
stream, replicas without a cluster."""


class FeedError(Exception):
    """The stream cannot be had, or not any more; its text is one line for people."""


class OvertakenError(Exception):
    """Somebody else has published meanwhile, so this message was not taken."""


class StreamRefusedError(FeedError):
    """The stream cannot be what it is to be, and waiting does not help."""


@asynccontextmanager
async def connected(urls: str, as_whom: str) -> AsyncIterator[Client]:
    """Connect to one of these addresses. Raises FeedError where none takes the connection."""
    client = await _connect(urls, as_whom)
    try:
        yield client
    finally:
        with suppress(Exception):
            await client.close()


async def _connect(urls: str, as_whom: str) -> Client:
    noted: list[Exception] = []

    async def note(error: Exception) -> None:
        noted.append(error)

    addresses = urls.split(",")
    random.shuffle(addresses)
    problem = ""
    for url in addresses:
        try:
            async with asyncio.timeout(2 * CONNECT_SECONDS):
                return await nats.connect(
                    url,
                    name=as_whom,
                    connect_timeout=CONNECT_SECONDS,
                    allow_reconnect=False,
                    max_reconnect_attempts=1,  # before it gives up, not after a connection is gone
                    reconnect_time_wait=0,
                    error_cb=note,
                )
        except (nats.errors.Error, OSError, TimeoutError) as error:
            why = noted[-1] if noted and isinstance(error, nats.errors.NoServersError) else error
            problem = f"{without_secrets(url)}: {_reason(why)}"
    raise FeedError(problem)


@contextmanager
def told(stream: str) -> Iterator[None]:
    """Turn what NATS raises into errors that say, in a line, what is wrong. None of a stream goes through."""
    try:
        yield
    except nats.js.errors.NotFoundError as error:
        if error.err_code != NO_STREAM:
            raise FeedError(_reason(error)) from None
        raise FeedError(f"there is no stream {stream}: stock-market makes it, and may not run") from None
    except nats.js.errors.APIError as error:
        if error.err_code == WRONG_LAST_SEQUENCE:
            raise OvertakenError from None
        kind = (
            StreamRefusedError
            if isinstance(error, nats.js.errors.BadRequestError | nats.js.errors.ServerError)
            else FeedError
        )
        raise kind(_reason(error)) from None
    except (nats.errors.Error, OSError, TimeoutError) as error:
        raise FeedError(_reason(error)) from None


def _reason(error: Exception) -> str:
    if isinstance(error, nats.js.errors.APIError) and error.description:
        return str(error.description)
    if isinstance(error, nats.js.errors.NoStreamResponseError | nats.errors.NoRespondersError):
        return "NATS has no JetStream, or no stream of that name"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, nats.errors.ConnectionClosedError):
        return "the connection is gone"
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)  # asyncio's own text has the address once more
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).removeprefix("nats: ").strip("'\"")
