"""A cut in any turn of the loop about the end of a write: the status is its own, and the handler ends."""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import pytest
from stubborn import CODE, SMALL, Stubborn, session

from waiting import until


class Between(grpc.aio.ServerInterceptor):
    """Does something when grpc has written the first message, before the handler is told: it may let it wait, too."""

    def __init__(self, do: Callable[[], Awaitable[None]]) -> None:
        self._do: Callable[[], Awaitable[None]] | None = do
        self.ended_by: BaseException | None = None
        """What it has seen the handler end by."""

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        handler = (await continuation(handler_call_details)).unary_stream
        wrapped = self._iterate if inspect.isasyncgenfunction(handler) else self._await
        return grpc.unary_stream_rpc_method_handler(functools.partial(wrapped, handler))

    async def _first(self) -> None:
        do, self._do = self._do, None
        if do is not None:
            await do()

    async def _iterate(self, handler: Any, request: Any, context: Any) -> AsyncIterator[Any]:
        try:
            async for message in handler(request, context):
                yield message
                await self._first()
        except BaseException as error:
            self.ended_by = error
            raise

    async def _await(self, handler: Any, request: Any, context: Any) -> None:
        try:
            await handler(request, FirstWrite(context, self._first))
        except BaseException as error:
            self.ended_by = error
            raise


class FirstWrite:
    """A context that does something between a write of grpc and the end of the handler's."""

    def __init__(self, context: Any, do: Callable[[], Awaitable[None]]) -> None:
        self._context = context
        self._do = do

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    async def write(self, message: Any) -> None:
        await self._context.write(message)
        await self._do()


@pytest.mark.parametrize("turns", range(-3, 4))
@pytest.mark.parametrize("does", ["returns", "goes on", "fails", "waits", "returned", "failed"])
@pytest.mark.parametrize("style", ["generator", "coroutine"])
async def test_a_cut_in_any_turn_of_the_loop_about_the_end_of_the_first_write(style, does, turns, caplog):
    """So many turns after the handler has been told of it, or before."""
    caplog.set_level(logging.CRITICAL, "grpc")
    handlers: Stubborn
    cut: list[None] = []

    def cut_now() -> None:
        if handlers.ended == 0:
            cut.append(None)
        handlers.streams[0].cut(CODE, "too slow")

    def cut_after(turns: int) -> None:
        asyncio.get_running_loop().call_soon(cut_after, turns - 1) if turns > 0 else cut_now()

    async def do() -> None:
        cut_after(turns)
        for _ in range(-turns):
            await asyncio.sleep(0)

    between = Between(do)
    async with session(between) as opened:
        handlers = opened.handlers
        call = opened.call(style, does)
        assert await call.read() == SMALL
        await until(lambda: handlers.ended == 1 and not opened.ledger.open_books())
        if cut:
            assert await call.code() is CODE
            assert isinstance(between.ended_by, (grpc.aio.AbortError, *([LookupError] if "fail" in does else [])))
        elif does == "returned":
            assert (await call.code(), between.ended_by) == (grpc.StatusCode.OK, None)
        else:
            assert (does, await call.code()) == ("failed", grpc.StatusCode.UNKNOWN)
        assert opened.ledger.faults.count == 0
