"""Other interceptors to stand in front of ours and behind it: tracing ones, and of each kind that changes a call."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from opentelemetry.instrumentation.grpc import aio_client_interceptors, aio_server_interceptor
from sentry_sdk.integrations.grpc.aio import ServerInterceptor as SentryServerInterceptor
from sentry_sdk.integrations.grpc.aio.client import SentryUnaryStreamClientInterceptor

from client_neighbours import (
    ClientCache,
    ReadingSpy,
    StreamStreamRewriter,
    StreamStreamSpy,
    StreamUnaryRewriter,
    StreamUnarySpy,
    UnaryStreamRewriter,
    UnaryStreamSpy,
)
from mirror import Mirror
from server_neighbours import Forwarder, Guard, ServerCache, ServerSpy


@dataclass
class Chain:
    """What stands in front of ours and behind it, at both ends."""

    server_front: list[Any] = field(default_factory=list)
    server_behind: list[Any] = field(default_factory=list)
    client_front: list[Any] = field(default_factory=list)
    client_behind: list[Any] = field(default_factory=list)


def chains(mirror: Mirror) -> dict[str, Chain]:
    """Return who stands where, by name."""
    spies = [UnaryStreamSpy(mirror), StreamStreamSpy(mirror), StreamUnarySpy(mirror)]
    otel, sentry = aio_client_interceptors(), [SentryUnaryStreamClientInterceptor()]
    rewriters = [UnaryStreamRewriter(), StreamStreamRewriter(), StreamUnaryRewriter()]
    return {
        "nobody": Chain(),
        "spies in front": Chain(server_front=[ServerSpy(mirror)], client_front=spies),
        "spies behind": Chain(server_behind=[ServerSpy(mirror)], client_behind=spies),
        "forwarders in front": Chain(server_front=[Forwarder()]),
        "forwarders behind": Chain(server_behind=[Forwarder()]),
        "a reader in front": Chain(client_front=[ReadingSpy()]),
        "a reader behind": Chain(client_behind=[ReadingSpy()]),
        "opentelemetry in front": Chain(server_front=[aio_server_interceptor()], client_front=otel),
        "opentelemetry behind": Chain(server_behind=[aio_server_interceptor()], client_behind=otel),
        "sentry in front": Chain(server_front=[SentryServerInterceptor()], client_front=sentry),
        "sentry behind": Chain(server_behind=[SentryServerInterceptor()], client_behind=sentry),
        "a guard in front": Chain(server_front=[Guard()]),
        "a guard behind": Chain(server_behind=[Guard()]),
        "caches in front": Chain(server_front=[ServerCache()], client_front=[ClientCache()]),
        "a cache behind, at the server": Chain(server_behind=[ServerCache()]),
        "a cache behind, at the client": Chain(client_behind=[ClientCache()]),
        # at the client only: a server of grpc's takes no other details than its own
        "rewriters in front": Chain(client_front=rewriters),
        "rewriters behind": Chain(client_behind=rewriters),
    }
