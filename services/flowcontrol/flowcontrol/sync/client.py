"""Measure what a synchronous client reads of its response streams, and how long it stays away between reads."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable
from typing import Any

import grpc
from prometheus_client.registry import CollectorRegistry

from flowcontrol.books.book import ReceiveBook
from flowcontrol.books.ledger import Ledger
from flowcontrol.client.details import with_metadata
from flowcontrol.client.interceptor import protobuf_size
from flowcontrol.identity import Identity, is_client_name, is_of_grpc, method_of
from flowcontrol.metrics.both_ends import CLIENT_RECEIVED_METRICS
from flowcontrol.metrics.collector import ledger_of
from flowcontrol.sync.call import MeasuredCall
from flowcontrol.sync.meter import LockedReceiveMeter
from flowcontrol.window import Window

Continuation = Callable[[Any, Any], Any]


class FlowControlClientInterceptor(grpc.UnaryStreamClientInterceptor, grpc.StreamStreamClientInterceptor):
    """Measures every response stream of a `grpc.Channel`, and declares client, stream and window to the server.

    `grpc.intercept_channel(channel, *interceptor.interceptors)` puts it there; all is as in
    `flowcontrol.FlowControlClientInterceptor`, and under the same names.
    """

    def __init__(
        self,
        client: str,
        window: Window,
        *,
        ledger: Ledger[ReceiveBook] | None = None,
        registry: CollectorRegistry | None = None,
        size_of: Callable[[Any], int | None] | None = None,
        count_of: Callable[[Any], int] | None = None,
    ) -> None:
        if not is_client_name(client):
            raise ValueError(f"a client's name is 1 to 63 letters, digits, '.', '_' or '-'; got {client!r}")
        self._client = client
        self._window = window
        self._size_of = protobuf_size if size_of is None else size_of
        self._count_of = count_of
        self.ledger = ledger_of(registry, ledger, ReceiveBook, CLIENT_RECEIVED_METRICS)

    @property
    def interceptors(self) -> list[Any]:
        """What to intercept a channel with: here one serves for all kinds of calls."""
        return [self]

    def intercept_unary_stream(self, continuation: Continuation, client_call_details: Any, request: Any) -> Any:
        """Start the call and return it, measured."""
        return self._measured(continuation, client_call_details, request)

    def intercept_stream_stream(
        self, continuation: Continuation, client_call_details: Any, request_iterator: Any
    ) -> Any:
        """Start the call and return it, measured."""
        return self._measured(continuation, client_call_details, request_iterator)

    def _measured(self, continuation: Continuation, details: Any, request: Any) -> Any:
        method = method_of(details)
        if is_of_grpc(method):
            return continuation(details, request)
        identity = Identity.for_new_stream(self._client, self._window)
        try:
            metadata = (*(details.metadata or ()), *identity.metadata())
            details = with_metadata(details, metadata, otherwise=_CallDetails)
        except Exception:
            self.ledger.faults.note("a client declares itself")
        call = continuation(details, request)
        try:
            book = self.ledger.open(method, identity)
            meter = LockedReceiveMeter(book, self.ledger, self._size_of, self._count_of)
        except Exception:
            self.ledger.faults.note("a stream begins")
            return call
        # not `add_done_callback`: it would keep the call alive, which is cancelled when nobody has it any more
        add_callback = getattr(call, "add_callback", None)
        if add_callback is not None and not add_callback(meter.end):
            meter.end()
        return MeasuredCall(call, meter, has_end=add_callback is not None)


class _CallDetails(
    namedtuple("_CallDetails", ("method", "timeout", "metadata", "credentials", "wait_for_ready")),
    grpc.ClientCallDetails,
):
    """The details of a call, where a neighbour's own cannot be changed."""
