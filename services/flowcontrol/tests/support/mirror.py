"""A service whose handlers do what the request tells them to, in any style, and write down what they see."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.wrappers_pb2 import BytesValue

from waiting import until

SERVICE = "mirror.Mirror"
SHAPES = ("unary_stream", "stream_stream", "stream_unary")
STYLES = ("generator", "coroutine", "synchronous")
STATUS = (grpc.StatusCode.DATA_LOSS, "given up")
TRAILERS = (("why", "because"), ("why-bin", b"\x00\xff"))


class Diary:
    """Who has seen what, line by line. A line begins with what it is about."""

    def __init__(self) -> None:
        self.lines: defaultdict[str, list[str]] = defaultdict(list)

    def note(self, who: str, about: str, what: object = "") -> None:
        """Add a line."""
        self.lines[who].append(f"{about}: {what}")

    def note_end(self, who: str, error: BaseException) -> None:
        """Add a line with what has ended it; in a blocked write it may be one or the other, as it happens."""
        gone = isinstance(error, (asyncio.CancelledError, grpc.aio.InternalError))
        self.note(who, "raised", "gone" if gone and "writing: " in self.lines["handler"] else type(error).__name__)

    def outcome(self, who: str, about: str, do: Callable[[], object]) -> None:
        """Add a line with what a call returns or raises."""
        try:
            self.note(who, about, do())
        except Exception as error:
            self.note(who, about, type(error).__name__)


@dataclass(frozen=True)
class Note:
    """A message that is neither protobuf nor bytes."""

    data: bytes


@dataclass(frozen=True)
class Codec:
    """How a message of so many bytes is made, and goes to bytes and back; no functions: it is bytes already."""

    make: Callable[[int], Any]
    serialize: Callable[[Any], bytes] | None = None
    deserialize: Callable[[bytes], Any] | None = None


CODECS = {
    "raw": Codec(bytes),
    "bracketed": Codec(bytes, lambda message: b"<" + message + b">", lambda data: data[1:-1]),
    "note": Codec(lambda size: Note(bytes(size)), lambda message: b"note" + message.data, lambda data: Note(data[4:])),
    "protobuf": Codec(lambda size: BytesValue(value=bytes(size)), BytesValue.SerializeToString, BytesValue.FromString),
}


@dataclass(frozen=True)
class Timed:
    """A message whose write has a time limit."""

    message: Any
    seconds: float


class Mirror(grpc.GenericRpcHandler):
    """Answers `/mirror.Mirror/SHAPE.STYLE.CODEC`; the first request holds the steps, as JSON."""

    def __init__(self) -> None:
        self.diary = Diary()
        self.running = 0
        """Handlers that have begun and not ended."""

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        service, _, method = handler_call_details.method.removeprefix("/").partition("/")
        if service != SERVICE:
            return None
        shape, style, codec = method.split(".")
        make: Any = getattr(grpc, f"{shape}_rpc_method_handler")
        behaviour = {
            "unary_stream": {"generator": self.generated, "coroutine": self.written, "synchronous": self.synchronous},
            "stream_stream": {"generator": self.generated, "coroutine": self.written, "synchronous": self.synchronous},
            "stream_unary": {"coroutine": self.answered, "synchronous": self.answered_synchronously},
        }[shape][style]
        self.codec = CODECS[codec]
        return make(behaviour, None if codec == "raw" else json.loads, self.codec.serialize)

    @contextmanager
    def _a_handler_runs(self) -> Iterator[None]:
        self.running += 1
        try:
            yield
        except BaseException as error:
            self.diary.note_end("handler", error)
            raise
        finally:
            self.running -= 1
            self._note("end")

    async def generated(self, request: Any, context: Any) -> AsyncIterator[Any]:
        with self._a_handler_runs():
            async for message in self._messages(request, context):
                yield message

    async def written(self, request: Any, context: Any) -> None:
        with self._a_handler_runs():
            async for message in self._messages(request, context):
                if isinstance(message, Timed):
                    await self._timed(context, message)
                else:
                    self._note("write returns", await context.write(message))

    async def answered(self, requests: Any, context: Any) -> Any:
        with self._a_handler_runs():
            answer = self.codec.make(0)
            async for message in self._messages(requests, context):
                answer = message
        return answer

    def answered_synchronously(self, requests: Any, context: Any) -> Any:
        answer = self.codec.make(0)
        for message in self.synchronous(requests, context):
            answer = message
        for request in requests:
            self._note("read", len(request))
        return answer

    def synchronous(self, request: Any, context: Any) -> Iterator[Any]:
        with self._a_handler_runs():
            for step in _decoded(request if isinstance(request, (list, bytes)) else next(request)):
                if step[0] == "send":
                    yield self.codec.make(step[1])
                elif step[0] == "abort":
                    context.abort(*STATUS)
                elif step[0] == "set":
                    context.set_code(STATUS[0])
                    context.set_details(STATUS[1])
                elif step[0] == "raise":
                    raise LookupError("a bug in the handler")

    async def _timed(self, context: Any, timed: Timed) -> None:
        try:
            await asyncio.wait_for(context.write(timed.message), timed.seconds)
        except TimeoutError:
            self._note("write", "timed out")

    def _note(self, about: str, what: object = "") -> None:
        self.diary.note("handler", about, what)

    async def _messages(self, request: Any, context: Any) -> AsyncIterator[Any]:
        requests = None if isinstance(request, (list, bytes)) else request
        if requests is not None:
            self._note("requests", (isinstance(requests, AsyncIterator), aiter(requests) is aiter(requests)))
        steps = _decoded(request if requests is None else await anext(aiter(requests)))
        for name, *arguments in steps:
            if name == "send":
                yield self.codec.make(*arguments)
            elif name == "timed":
                yield Timed(self.codec.make(arguments[0]), arguments[1])
            elif name == "bad":
                yield object()
            elif name == "flood":
                while True:
                    if "writing: " not in self.diary.lines["handler"]:
                        self._note("writing")
                    yield self.codec.make(*arguments)
            elif name == "echo":
                async for _ in requests:
                    yield self.codec.make(*arguments)
            elif name == "read":
                while (got := await context.read()) is not grpc.aio.EOF:
                    self._note("read", len(got))
                self._note("read after the end", await context.read() is grpc.aio.EOF)
            elif name == "each":
                async for got in requests:
                    self._note("read", len(got))
            elif name == "take":
                self._note("read", len(await context.read()))
                async for got in requests:
                    self._note("read", len(got))
                    break
                self._note("read", len(await anext(requests)))
            elif name == "catch":
                try:
                    yield self.codec.make(*arguments)
                except KeyError:
                    self._note("thrown", "KeyError")
                    yield self.codec.make(*arguments)
            else:
                await self._act(name, context)

    async def _act(self, name: str, context: Any) -> None:
        note = self._note
        if name == "abort":
            await context.abort(*STATUS, TRAILERS)
        elif name == "set":
            context.set_code(STATUS[0])
            context.set_details(STATUS[1])
            note("code", (context.code(), context.details()))
        elif name == "raise":
            raise LookupError("a bug in the handler")
        elif name == "initial":
            await context.send_initial_metadata((("first", "1"),))
        elif name == "trailing":
            context.set_trailing_metadata(TRAILERS)
            note("trailing", context.trailing_metadata())
        elif name == "compress":
            context.set_compression(grpc.Compression.Gzip)
        elif name == "uncompressed":
            context.disable_next_message_compression()
        elif name == "wait":
            note("waiting")
            await asyncio.Event().wait()
        elif name == "until read":
            await until(lambda: self.diary.lines["caller"], every_seconds=0.001)
        elif name == "swallow":
            note("waiting")
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                note("cancelled")
        elif name == "callback":
            context.add_done_callback(lambda given: note("callback is given its context", given is context))
        elif name == "look":
            self._look(context)

    def _look(self, context: Any) -> None:
        note, outcome = self._note, self.diary.outcome
        keys = [key for key, _ in context.invocation_metadata()]
        note("request metadata", sorted(key for key in keys if not key.startswith("flowcontrol-")))
        note("peer", context.peer().split(":")[0])
        note("time left", type(context.time_remaining()).__name__)
        note("done, cancelled", (context.done(), context.cancelled()))
        for method in ("peer_identities", "peer_identity_key", "auth_context", "code", "details", "trailing_metadata"):
            outcome("handler", method, getattr(context, method))
        outcome("handler", "what is not there", lambda: context.nothing)
        outcome("handler", "attribute", lambda: setattr(context, "own", 1))


def _decoded(steps: Any) -> Any:
    return json.loads(steps) if isinstance(steps, bytes) else steps
