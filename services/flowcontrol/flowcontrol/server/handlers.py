"""Measure a handler in the style that it has, so that whoever calls it finds what he would have found."""

from __future__ import annotations

import functools
import inspect
from asyncio import current_task, get_running_loop
from collections.abc import AsyncGenerator, Callable
from typing import Any, TypeAlias

from flowcontrol.server.context import MeasuredContext
from flowcontrol.server.serializer import raw_size
from flowcontrol.server.stream import MeasuredStream

Begin: TypeAlias = Callable[[Any], MeasuredStream]
"""Returns the stream of a call, from its context."""


def measured(behaviour: Any, begin: Begin, raw: bool) -> Any:
    """Return a handler's function, measured; None where it is neither a coroutine function nor an async generator.

    `raw` tells that there is no serializer: messages go out as they are.
    """
    if inspect.iscoroutinefunction(behaviour):
        return functools.wraps(behaviour)(_coroutine(behaviour, begin, raw))
    if inspect.isasyncgenfunction(behaviour):
        return functools.wraps(behaviour)(_generator(behaviour, begin, raw))
    return None


def _coroutine(behaviour: Any, begin: Begin, raw: bool) -> Any:
    async def measured_coroutine(request: Any, context: Any) -> Any:
        stream = begin(context)
        try:
            result = await behaviour(request, MeasuredContext(context, stream, raw))
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
        stream.generator = generator = behaviour(request, MeasuredContext(context, stream, raw))
        step = generator.asend(None)
        try:
            while True:
                try:
                    message = await step
                except StopAsyncIteration:
                    await stream.end_if_cut()
                    return
                if stream.is_cut:
                    meter.drop()
                    await stream.closed()
                    await stream.end_if_cut()
                    return
                meter.begin(raw_size(message) if raw else None)
                stream.runner = None
                try:
                    sent = yield message
                except GeneratorExit as closed:
                    meter.failed(closed)
                    await stream.closed()
                    raise
                except BaseException as thrown:
                    meter.failed(thrown)
                    stream.runner = current_task(loop)
                    step = generator.athrow(thrown)
                else:
                    meter.accepted()
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
