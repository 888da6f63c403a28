"""Read a stream's messages through its meter, in either of grpc's two ways."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc

from flowcontrol.books.receive_meter import ReceiveMeter


async def measured_read(read: Callable[[], Awaitable[Any]], meter: ReceiveMeter) -> Any:
    """Return the next message, or `grpc.aio.EOF`, as `read` does."""
    meter.begin()
    try:
        message = await read()
    except BaseException:
        meter.ended()
        raise
    if message is grpc.aio.EOF:
        meter.ended()
    else:
        meter.received(message)
    return message


async def measured_messages(messages: AsyncIterator[Any], meter: ReceiveMeter) -> AsyncIterator[Any]:
    """Yield the messages."""
    try:
        while True:
            meter.begin()
            try:
                message = await anext(messages)
            except StopAsyncIteration:
                return
            meter.received(message)
            yield message
    except GeneratorExit:
        await _close(messages)  # the call goes on, so its book does
        raise
    finally:
        meter.ended()


async def _close(messages: Any) -> None:
    if hasattr(messages, "aclose"):
        await messages.aclose()
