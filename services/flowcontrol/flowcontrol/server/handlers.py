"""Measure a handler in the style that it has, so that whoever calls it finds what he would have found."""

from __future__ import annotations

import functools
import inspect
from asyncio import current_task, get_running_loop
from collections.abc import AsyncGenerator, Callable
from typing import Any, TypeAlias

from flowcontrol.books.receive_meter import ReceiveMeter
from flowcontrol.server.context import MeasuredContext, ReadContext
from flowcontrol.server.requests import MeasuredRequests
from flowcontrol.server.serializer import count_of, raw_size
from flowcontrol.server.stream import MeasuredStream

Begin: TypeAlias = Callable[[Any], MeasuredStream]
"""Returns the stream of a call, from its context."""

BeginReading: TypeAlias = Callable[[Any], tuple[ReceiveMeter | None, Callable[[], None] | None]]
"""Returns the meter of a call's requests, from its context, and what else is to be done when the handler has ended."""


def measured(behaviour: Any, begin: Begin, raw: bool) -> Any:
    """Return a handler's function, measured; None where it is neither a coroutine function nor an async generator.

    `raw` tells that there is no serializer: messages go out as they are.
    """
    if inspect.iscoroutinefunction(behaviour):
        return functools.wraps(behaviour)(_coroutine(behaviour, begin, raw))
    if inspect.isasyncgenfunction(behaviour):
        return functools.wraps(behaviour)(_generator(behaviour, begin, raw))
    return None


def measured_upload(behaviour: Any, begin: BeginReading) -> Any:
    """Return the function of a handler that answers a stream once, measured; None where it is no coroutine function."""
    if not inspect.iscoroutinefunction(behaviour):
        return None

    async def measured_coroutine(requests: Any, context: Any) -> Any:
        reading, end = begin(context)
        try:
            if reading is None:
                return await behaviour(requests, context)
            return await behaviour(MeasuredRequests(requests, reading), ReadContext(context, reading))
        finally:
            if end is not None:
                end()

    return functools.wraps(behaviour)(measured_coroutine)


def _run(behaviour: Any, request: Any, context: Any, stream: MeasuredStream, raw: bool) -> Any:
    context = MeasuredContext(context, stream, raw)
    if stream.reading is None:
        return behaviour(request, context)
    return behaviour(MeasuredRequests(request, stream.reading), ReadContext(context, stream.reading))


def _coroutine(behaviour: Any, begin: Begin, raw: bool) -> Any:
    async def measured_coroutine(request: Any, context: Any) -> Any:
        stream = begin(context)
        try:
            result = await _run(behaviour, request, context, stream, raw)
            await stream.end_if_cut()
            return result
        except BaseException as failure:
            await stream.end_if_cut(failure)
            raise
        finally:
            stream.end()

    return measured_coroutine


def _generator(behaviour: Any, begin: Begin, raw: bool) -> Any:
    async def measured_generator(request: Any, context: Any) -> AsyncGenerator[Any, Any]:
        stream = begin(context)
        meter, loop = stream.meter, get_running_loop()
        stream.generator = generator = _run(behaviour, request, context, stream, raw)
        step = generator.asend(None)
        try:
            while True:
                try:
                    message = await step
                except StopAsyncIteration:
                    await stream.end_if_cut()
                    return
                count = count_of(message)
                if stream.is_cut:
                    meter.drop(count)
                    await stream.closed()
                    await stream.end_if_cut()
                    return
                meter.begin(raw_size(message) if raw else None, count)
                stream.runner = None
                try:
                    sent = yield message
                except GeneratorExit as closed:
                    meter.failed(closed, count)
                    await stream.closed()
                    raise
                except BaseException as thrown:
                    meter.failed(thrown, count)
                    stream.runner = current_task(loop)
                    step = generator.athrow(thrown)
                else:
                    meter.accepted(count)
                    stream.runner = current_task(loop)
                    if stream.is_cut:
                        await stream.closed()
                        await stream.end_if_cut()
                        return
                    step = generator.asend(sent)
        except BaseException as failure:
            await stream.end_if_cut(failure)
            raise
        finally:
            stream.end()

    return measured_generator
