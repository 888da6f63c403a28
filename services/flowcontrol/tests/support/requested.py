"""The ways in which a caller may give the requests of a stream."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

from mirror import Mirror
from waiting import until

Sizes = tuple[int, ...]
"""What comes after the steps: texts, each by its length. None cannot be serialised, for grpc then waits for ever."""


def encoded(request: Any) -> bytes:
    """Return a request as it goes out."""
    return json.dumps(request).encode()


class Requested:
    """The requests of a call, in one of the styles in which a caller may give them; writes down how they end."""

    def __init__(self, requests: list[Any], way: str, mirror: Mirror) -> None:
        self._requests = requests
        self._way = way
        self._diary = mirror.diary

    def made(self) -> Any:
        """Return them in the style that the call asks for."""
        if self._way == "list of requests":
            return self._requests
        if self._way == "generator of requests":
            return self._each()
        return self if self._way == "iterable requests" else aiter(self)

    def _each(self) -> Iterator[Any]:
        yield from self._requests

    async def __aiter__(self) -> AsyncIterator[Any]:
        try:
            for number, request in enumerate(self._requests):
                if self._way == "cancel while it sends":
                    self._diary.note("requests", "asked for", number)
                yield request
            if self._way == "requests that fail":
                await self._until_a_handler_waits()
                raise LookupError("a bug in the caller")
            if self._way == "requests without end":
                await asyncio.Event().wait()
        except GeneratorExit:
            raise  # when it is garbage, sooner or later
        except BaseException as error:
            self._diary.note("requests", "raised", type(error).__name__)
            raise

    async def _until_a_handler_waits(self) -> None:
        # what fails cancels the call, and a handler has read more or less before that
        await until(lambda: "waiting: " in self._diary.lines["handler"], every_seconds=0.001)
