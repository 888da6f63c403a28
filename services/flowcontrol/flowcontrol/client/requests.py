"""The requests that a call sends, measured as grpc takes them: it asks for the next once the last has been accepted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Generator, Iterable, Iterator
from typing import Any

from flowcontrol.books.send_meter import SendMeter

SETTLED_AFTER_SECONDS = 1.0
"""What is being written when a call ends is known a turn of the loop later, but for somebody who holds the message."""


class Upload:
    """The requests of one call.

    `begin` returns the meter of their stream, if it can be measured, and `size_of` a message's serialised size in
    bytes, if that is known; neither raises.

    A stream begins when grpc asks for the first request, so that a call which another interceptor answers by itself
    has none. The caller's `write` and `done_writing` come here too, for grpc makes an iterator of them.
    """

    def __init__(self, begin: Callable[[], SendMeter | None], size_of: Callable[[Any], int | None]) -> None:
        self._begin = begin
        self._size_of = size_of
        self._loop = asyncio.get_running_loop()
        self._meters: list[SendMeter] = []
        self._call_has_ended = False

    def measured(self, requests: Any) -> Any:
        """Return the requests in the style that they have, measured."""
        if isinstance(requests, AsyncIterator):
            return self.each_async(requests)
        if isinstance(requests, AsyncIterable):
            return _AsyncRequests(self, requests)
        if isinstance(requests, Iterator):
            return self.each(requests)
        return requests if requests is None else _Requests(self, requests)

    def end(self, _: Any = None) -> None:
        """Take in that the call has ended."""
        self._call_has_ended = True
        for meter in self._meters:
            if meter.in_write and not self._loop.is_closed():
                self._loop.call_later(SETTLED_AFTER_SECONDS, meter.close, False)
            else:
                meter.close(arrives=False)
        self._meters.clear()

    async def each_async(self, requests: AsyncIterable[Any]) -> AsyncGenerator[Any, Any]:
        """Yield the requests."""
        meter = self._open()
        messages: Any = aiter(requests)
        step = anext(messages)
        while True:
            try:
                message = await step
            except StopAsyncIteration:
                return
            if meter is not None:
                meter.begin(self._size_of(message))
            try:
                sent = yield message
            except BaseException as thrown:
                self._lost(meter)
                if isinstance(thrown, GeneratorExit) or not hasattr(messages, "athrow"):
                    raise
                step = messages.athrow(thrown)
            else:
                self._accepted(meter)
                step = anext(messages) if sent is None else messages.asend(sent)

    def each(self, requests: Iterable[Any]) -> Generator[Any, Any, None]:
        """Yield the requests."""
        meter = self._open()
        for message in requests:
            if meter is not None:
                meter.begin(self._size_of(message))
            try:
                yield message
            except BaseException:
                self._lost(meter)
                raise
            self._accepted(meter)

    def _open(self) -> SendMeter | None:
        meter = None if self._call_has_ended else self._begin()
        if meter is not None:
            self._meters.append(meter)
        return meter

    def _accepted(self, meter: SendMeter | None) -> None:
        if meter is not None:
            meter.accepted()
            if self._call_has_ended:
                meter.close(arrives=False)

    def _lost(self, meter: SendMeter | None) -> None:
        if meter is not None:
            meter.lost()
            if self._call_has_ended:
                meter.close(arrives=False)


class _Requests:
    """Requests that can be asked for an iterator; all else is the original's."""

    def __init__(self, upload: Upload, requests: Any) -> None:
        self._flowcontrol_upload = upload
        self._flowcontrol_requests = requests

    def __getattr__(self, name: str) -> Any:
        return getattr(self._flowcontrol_requests, name)

    def __iter__(self) -> Iterator[Any]:
        return self._flowcontrol_upload.each(self._flowcontrol_requests)


class _AsyncRequests:
    """The same, to be iterated by `async for`."""

    def __init__(self, upload: Upload, requests: Any) -> None:
        self._flowcontrol_upload = upload
        self._flowcontrol_requests = requests

    def __getattr__(self, name: str) -> Any:
        return getattr(self._flowcontrol_requests, name)

    def __aiter__(self) -> AsyncIterator[Any]:
        return self._flowcontrol_upload.each_async(self._flowcontrol_requests)
