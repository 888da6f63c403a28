"""The ways to make a call, to read it, and to give it up; each writes down what the caller sees."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc

from mirror import CODECS, SERVICE, Codec, Mirror
from requested import Requested, Sizes, encoded
from waiting import until

Steps = list[list[Any]]


class Caller:
    """Calls one method of a mirror, and writes down what comes."""

    def __init__(self, channel: grpc.aio.Channel, mirror: Mirror, shape: str, style: str, codec: str) -> None:
        self._mirror = mirror
        self._shape = shape
        self._codec: Codec = CODECS[codec]
        stub = getattr(channel, shape)
        self._stub = stub(
            f"/{SERVICE}/{shape}.{style}.{codec}",
            request_serializer=None if codec == "raw" else encoded,
            response_deserializer=self._codec.deserialize,
        )

    def note(self, about: str, what: object = "") -> None:
        """Write down a line."""
        self._mirror.diary.note("caller", about, what)

    async def call(self, way: str, steps: Steps, more: Sizes = ()) -> None:
        """Make a call in one of the ways, with more requests after the steps; write down all that comes of it."""
        options: dict[str, Any] = {"metadata": (("mine", "1"), ("mine", "2"))}
        if way == "deadline":
            options["timeout"] = 0.5
        if way == "refused":
            options["metadata"] = (("token", "bad"),)
        if way == "cached":
            options["metadata"] = (("cached", "1"),)
        if way == "thrown at":
            options["metadata"] = (("throw", "1"),)
        call = self._open(way, steps, more, options)
        callback: list[Any] = []
        call.add_done_callback(callback.append)
        try:
            await getattr(self, f"_{way.replace(' ', '_')}", self._async_for)(call)
        except asyncio.CancelledError:
            self.note("raised", "CancelledError")
        except grpc.aio.AioRpcError as error:
            self.note("raised", (error.code(), said(error.details()), list(error.trailing_metadata() or ())))
        except Exception as error:
            self.note("raised", type(error).__name__)
        await self._look_back(call, callback)

    def _open(self, way: str, steps: Steps, more: Sizes, options: dict[str, Any]) -> Any:
        if self._shape == "unary_stream":
            return self._stub(self._encoded(steps), **options)
        requests = [
            self._encoded(steps),
            *(self._encoded("x" * size) for size in more),
        ]
        if way in ("writes", "writes and reads in turn"):
            self._requests = requests
            return self._stub(**options)
        return self._stub(Requested(requests, way, self._mirror).made(), **options)

    def _encoded(self, request: Any) -> Any:
        return encoded(request) if self._codec.serialize is None else request

    async def _async_for(self, call: Any) -> None:
        if self._shape == "stream_unary":
            self.note("answer", self._seen(await call))
            return
        async for message in call:
            self.note("message", self._seen(message))

    async def _read(self, call: Any) -> None:
        while (message := await call.read()) is not grpc.aio.EOF:
            self.note("message", self._seen(message))
        self.note("read after the end", await call.read() is grpc.aio.EOF)

    async def _break_and_go_on(self, call: Any) -> None:
        async for message in call:
            self.note("message", self._seen(message))
            break
        self.note("same iterator", aiter(call) is aiter(call))
        async for message in call:
            self.note("message", self._seen(message))

    async def _mixed(self, call: Any) -> None:
        self.note("message", self._seen(await call.read()))
        try:
            self.note("reading by both ways", self._seen(await anext(aiter(call))))
        except grpc.aio.UsageError:
            self.note("reading by both ways", "UsageError")
        call.cancel()

    async def _read_after_error(self, call: Any) -> None:
        try:
            while await call.read() is not grpc.aio.EOF:
                pass
        except grpc.aio.AioRpcError:
            try:
                self.note("read after an error", await call.read())
            except grpc.aio.AioRpcError as error:
                self.note("read after an error", error.code())

    async def _metadata_first(self, call: Any) -> None:
        await call.wait_for_connection()
        self.note("initial metadata", list(await call.initial_metadata() or ()))
        self.note("done, cancelled", (call.done(), call.cancelled()))
        try:
            self.note("time_remaining", type(call.time_remaining()).__name__)
        except NotImplementedError:
            self.note("time_remaining", "NotImplementedError")
        await self._async_for(call)

    async def _cancel_after_one(self, call: Any) -> None:
        self.note("message", self._seen(await call.read()))
        await self._until_noted("handler", "waiting: ")
        self.note("cancel", call.cancel())
        self.note("cancel again", call.cancel())
        await self._async_for(call) if self._shape == "stream_unary" else await call.read()

    async def _cancel_unread(self, call: Any) -> None:
        await self._until_noted("handler", "writing: ")
        await asyncio.sleep(0.01)
        self.note("cancel", call.cancel())

    async def _cancelled_from_outside(self, call: Any) -> None:
        task = asyncio.ensure_future(self._async_for(call))
        await self._until_noted("handler", "waiting: ")
        if self._shape != "stream_unary":
            await until(lambda: self._mirror.diary.lines["caller"], every_seconds=0.001)
            await asyncio.sleep(0.01)
        task.cancel()
        await task

    async def _late(self, call: Any) -> None:
        await self._until_noted("handler", "write: timed out")
        await self._async_for(call)

    async def _late_and_cancel(self, call: Any) -> None:
        await self._until_noted("handler", "end: ")
        self.note("message", self._seen(await call.read()))
        self.note("cancel", call.cancel())

    async def _until_noted(self, who: str, line: str) -> None:
        await until(lambda: line in self._mirror.diary.lines[who], every_seconds=0.001, what=line)

    async def _cancel_while_it_sends(self, call: Any) -> None:
        await self._until_noted("handler", "waiting: ")
        await self._until_noted("requests", "asked for: 1")
        await asyncio.sleep(0.01)
        self.note("cancel", call.cancel())
        await self._async_for(call)

    async def _writes(self, call: Any) -> None:
        for request in self._requests:
            await call.write(request)
        await call.done_writing()
        await self._async_for(call)

    async def _writes_and_reads_in_turn(self, call: Any) -> None:
        steps, *more = self._requests
        await call.write(steps)
        for request in more:
            await call.write(request)
            self.note("message", self._seen(await call.read()))
        await call.done_writing()
        self.note("end", await call.read() is grpc.aio.EOF)

    async def _look_back(self, call: Any, callback: list[Any]) -> None:
        for method in ("code", "details", "initial_metadata", "trailing_metadata"):
            try:
                value = await asyncio.wait_for(getattr(call, method)(), 5)
                self.note(method, list(value) if "metadata" in method and value is not None else said(value))
            except Exception as error:
                self.note(method, type(error).__name__)
        try:
            self.note("done, cancelled", (call.done(), call.cancelled()))
            await until(lambda: callback or not call.done(), every_seconds=0.001)
            self.note("callback is given its call", [given is call for given in callback])
        except Exception as error:
            self.note("done, cancelled", type(error).__name__)

    def _seen(self, message: Any) -> str:
        size = len(getattr(message, "data", getattr(message, "value", message))) if message is not None else None
        return f"{type(message).__name__} {size}"


def said(details: Any) -> Any:
    """Return the details without what grpc says of a deadline in one of two ways, as it happens."""
    return "Deadline Exceeded" if details == "Stream removed (Deadline Exceeded)" else details
