"""A synchronous service whose handlers do what the request says, the ways to call it, and neighbours of each kind."""

from __future__ import annotations

import functools
import inspect
import itertools
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
from opentelemetry.instrumentation.grpc import client_interceptor, server_interceptor
from opentelemetry.instrumentation.grpc.grpcext import intercept_channel as opentelemetry_channel
from sentry_sdk.integrations.grpc.client import ClientInterceptor as SentryClientInterceptor
from sentry_sdk.integrations.grpc.server import ServerInterceptor as SentryServerInterceptor

from callers import said
from mirror import CODECS, STATUS, TRAILERS, Diary
from waiting import until_blocking

SERVICE = "mirror.Mirror"


class SyncMirror(grpc.GenericRpcHandler):
    """Answers `/mirror.Mirror/SHAPE.STYLE.CODEC`; the first request holds the steps, as JSON."""

    def __init__(self) -> None:
        self.diary = Diary()
        self.running = 0
        """Handlers that have begun and not ended."""

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        shape, style, codec = handler_call_details.method.removeprefix(f"/{SERVICE}/").split(".")
        make: Any = getattr(grpc, f"{shape}_rpc_method_handler")
        self.codec = CODECS[codec]
        behaviour = {"generator": self.generated, "iterator": self.iterated, "list": self.listed}[style]
        return make(behaviour, json.loads, self.codec.serialize)

    def note(self, about: str, what: object = "") -> None:
        self.diary.note("handler", about, what)

    @contextmanager
    def _a_handler_runs(self) -> Iterator[None]:
        self.running += 1
        try:
            yield
        except BaseException as error:
            self.note("raised", type(error).__name__)
            raise
        finally:
            self.running -= 1
            self.note("end")

    def generated(self, request: Any, context: Any) -> Iterator[Any]:
        """Yield what the steps say."""
        with self._a_handler_runs():
            requests = None if isinstance(request, list) else request
            for name, *arguments in request if requests is None else next(requests):
                if name == "send":
                    yield self.codec.make(*arguments)
                elif name == "bad":
                    yield object()
                elif name == "none":
                    yield None
                elif name == "echo":
                    for _ in requests:
                        yield self.codec.make(*arguments)
                elif name == "flood":
                    self.note("writing")
                    while True:
                        yield self.codec.make(*arguments)
                else:
                    self._act(name, context)

    def iterated(self, request: Any, context: Any) -> Iterator[Any]:
        """Return an iterator that is no generator, once the first step has been done."""
        if isinstance(request, list) and request[:1] == [["raise"]]:
            raise LookupError("a bug before there is an iterator")
        return itertools.chain(self.generated(request, context))

    def listed(self, request: Any, context: Any) -> Any:
        """Return what is no iterator."""
        return [self.codec.make(1)]

    def _act(self, name: str, context: Any) -> None:
        note, outcome = self.note, functools.partial(self.diary.outcome, "handler")
        if name == "abort":
            context.abort(*STATUS)
        elif name == "set":
            context.set_code(STATUS[0])
            context.set_details(STATUS[1])
            note("code", (context.code(), context.details()))
        elif name == "raise":
            raise LookupError("a bug in the handler")
        elif name == "cancel":
            context.cancel()
        elif name == "initial":
            context.send_initial_metadata((("first", "1"),))
        elif name == "trailing":
            context.set_trailing_metadata(TRAILERS)
        elif name == "compress":
            context.set_compression(grpc.Compression.Gzip)
        elif name == "wait":
            note("waiting")
            until_blocking(lambda: not context.is_active(), every_seconds=0.001)
        elif name == "look":
            keys = [key for key, _ in context.invocation_metadata()]
            note("request metadata", sorted(key for key in keys if not key.startswith(("flowcontrol-", "trace"))))
            note("is a context", isinstance(context, grpc.ServicerContext))
            note("peer", context.peer().split(":")[0])
            note("time left", type(context.time_remaining()).__name__)
            note("callback", context.add_callback(lambda: None))
            for method in ("peer_identities", "auth_context", "code", "details", "trailing_metadata", "is_active"):
                outcome(method, getattr(context, method))
            outcome("what is not there", lambda: context.nothing)
            outcome("attribute", lambda: setattr(context, "own", 1))
            outcome("write", lambda: context.write)


class SyncCaller:
    """Calls one method of a mirror, and writes down what comes."""

    def __init__(self, channel: grpc.Channel, mirror: SyncMirror, shape: str, style: str, codec: str) -> None:
        self._mirror = mirror
        self._shape = shape
        self._stub = getattr(channel, shape)(
            f"/{SERVICE}/{shape}.{style}.{codec}",
            request_serializer=lambda request: json.dumps(request).encode(),
            response_deserializer=CODECS[codec].deserialize,
        )

    def note(self, about: str, what: object = "") -> None:
        """Write down a line."""
        self._mirror.diary.note("caller", about, what)

    def call(self, way: str, steps: list[list[Any]]) -> None:
        """Make a call in one of the ways, and write down all that comes of it."""
        metadata = [("mine", "1"), *([("token", "bad")] if way == "refused" else [])]
        options = {"metadata": metadata, "timeout": 0.3 if way == "deadline" else 60}
        request = steps if self._shape == "unary_stream" else iter([steps, "more", "more"])
        call = self._stub(request, **options)
        self.note("is", [isinstance(call, kind) for kind in (grpc.Call, grpc.Future, grpc.RpcError, Iterator)])
        ended = threading.Event()
        self.diary_outcome(
            "callback", lambda: None if call.add_callback(ended.set) else ended.set()
        )  # False: it is over already
        given: list[Any] = []
        self.diary_outcome("done callback", lambda: call.add_done_callback(given.append))
        try:
            getattr(self, f"_{way.replace(' ', '_')}", self._all)(call)
        except grpc.RpcError as error:
            self.note("raised", (error.code(), said(error.details()), list(error.trailing_metadata() or ())))
        except Exception as error:
            self.note("raised", type(error).__name__)
        self.diary_outcome("details", lambda: said(call.details()))
        for method in ("code", "initial_metadata", "trailing_metadata", "done", "cancelled", "is_active"):
            self.diary_outcome(method, lambda method=method: getattr(call, method)())
        if hasattr(call, "add_callback") and way != "refused":
            self.note("callback comes", ended.wait(60))
            until_blocking(lambda: given)
            self.note("it is given its call", [each is call for each in given])
        self.diary_outcome("next at the end", lambda: next(call))

    def diary_outcome(self, about: str, do: Any) -> None:
        """Write down what a call returns or raises."""
        self._mirror.diary.outcome("caller", about, do)

    def _seen(self, message: Any) -> None:
        size = len(getattr(message, "data", getattr(message, "value", message))) if message is not None else None
        self.note("message", f"{type(message).__name__} {size}")

    def _all(self, call: Any) -> None:
        self.note("iterator", iter(call) is call)
        for message in call:
            self._seen(message)

    def _next(self, call: Any) -> None:
        while True:
            self._seen(call.next())

    def _metadata_first(self, call: Any) -> None:
        self.note("initial metadata", list(call.initial_metadata()))
        self.note("time left", type(call.time_remaining()).__name__)
        self._all(call)

    def _cancel_after_one(self, call: Any) -> None:
        self._seen(next(call))
        until_blocking(lambda: "waiting: " in self._mirror.diary.lines["handler"], every_seconds=0.001)
        self._cancel(call)
        self._cancel(call)
        self._all(call)

    def _cancel_unread(self, call: Any) -> None:
        until_blocking(lambda: "writing: " in self._mirror.diary.lines["handler"], every_seconds=0.001)
        self._cancel(call)

    def _cancel(self, call: Any) -> None:
        """Cancel a call; a neighbour may have made it a generator, whose end lets go of the call."""
        self.note("cancel", call.cancel() if hasattr(call, "cancel") else call.close())

    def _result(self, call: Any) -> None:
        self._all(call)
        self.note("result", type(call.result(30)).__name__)
        self.note("exception", type(call.exception(30)).__name__)


class Spy(grpc.ServerInterceptor):
    """Writes down what an interceptor can see of a handler and of what goes through."""

    def __init__(self, mirror: SyncMirror) -> None:
        self._note = functools.partial(mirror.diary.note, "server spy")
        self._mirror = mirror

    def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        handler = continuation(handler_call_details)
        shape = "stream_stream" if handler.request_streaming else "unary_stream"
        behaviour = getattr(handler, shape)
        note = functools.partial(self._mirror.diary.note, "server spy")
        note("handler", (type(handler).__name__, behaviour.__name__, inspect.isgeneratorfunction(behaviour)))
        note("serializer", handler.response_serializer and handler.response_serializer(self._mirror.codec.make(3)))

        def spying(request: Any, context: Any) -> Iterator[Any]:
            note("is a context", isinstance(context, grpc.ServicerContext))
            messages = behaviour(request, context)
            note("is a generator", inspect.isgenerator(messages))
            for message in messages:
                if "writing: " not in self._mirror.diary.lines["handler"]:
                    note("message", type(message).__name__)
                yield message

        return getattr(grpc, f"{shape}_rpc_method_handler")(
            spying, handler.request_deserializer, handler.response_serializer
        )


class Guard(grpc.ServerInterceptor):
    """Aborts a call that shows a bad token."""

    def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        handler = continuation(handler_call_details)
        if ("token", "bad") not in [tuple(each) for each in handler_call_details.invocation_metadata]:
            return handler
        shape = "stream_stream" if handler.request_streaming else "unary_stream"

        def refuse(request: Any, context: Any) -> Any:
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "a bad token")

        return getattr(grpc, f"{shape}_rpc_method_handler")(
            refuse, handler.request_deserializer, handler.response_serializer
        )


CHAINS = ("nobody", "spy in front", "spy behind", "opentelemetry in front", "opentelemetry behind", "sentry", "guard")


def server_chain(name: str, mirror: SyncMirror, ours: list[Any]) -> list[Any]:
    """Return the interceptors of a server, with ours among them."""
    other: list[Any] = {
        "spy": [Spy(mirror)],
        "opentelemetry": [server_interceptor()],
        "sentry": [SentryServerInterceptor()],
        "guard": [Guard()],
    }.get(name.split()[0], [])
    return [*ours, *other] if name.endswith("behind") else [*other, *ours]


def client_chain(name: str, channel: grpc.Channel, ours: list[Any]) -> grpc.Channel:
    """Return a channel that others and ours have intercepted."""
    if name == "opentelemetry behind":
        channel = opentelemetry_channel(channel, client_interceptor())
    if name == "sentry":
        ours = [SentryClientInterceptor(), *ours, SentryClientInterceptor()]
    channel = grpc.intercept_channel(channel, *ours)
    if name == "opentelemetry in front":
        channel = opentelemetry_channel(channel, client_interceptor())
    return channel
