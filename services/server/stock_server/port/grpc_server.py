"""The gRPC server: the stock service, health, reflection and channelz on one port."""

from __future__ import annotations

import grpc
from grpc_channelz.v1 import channelz
from grpc_health.v1.health import SERVICE_NAME as HEALTH_SERVICE
from grpc_health.v1.health_pb2_grpc import add_HealthServicer_to_server
from grpc_reflection.v1alpha import reflection

from flowcontrol import FlowControlServerInterceptor
from servicekit.tls.files import Reloaded
from stock_server.credentials import server_credentials
from stock_server.health import Health
from stock_server.port.connection_limits import limit_options
from stock_server.port.symbols import Symbols
from stock_server.settings import ServerSettings
from stock_server.streams.service import SERVICE_NAME, StockService
from stockservice.stock_pb2_grpc import add_StockServiceServicer_to_server

SERVICES = (SERVICE_NAME, HEALTH_SERVICE, "grpc.channelz.v1.Channelz", reflection.SERVICE_NAME)

MOST_PENDING_STREAMS = 3_000
"""Streams that may come at once to a server of any size."""


def build(
    settings: ServerSettings,
    service: StockService,
    health: Health,
    interceptor: FlowControlServerInterceptor,
    port: int,
    tls: Reloaded | None = None,
) -> tuple[grpc.aio.Server, int]:
    """Return a server that has not started, and its port. Raises OSError: the port is not free."""
    server = grpc.aio.server(interceptors=[interceptor], options=channel_options(settings))
    server.add_registered_method_handlers = _leave_unregistered  # type: ignore[method-assign]
    add_StockServiceServicer_to_server(service, server)
    add_HealthServicer_to_server(health, server)
    if settings.channelz:
        channelz.add_channelz_servicer(server)
    if settings.reflection:
        services = [name for name in SERVICES if settings.channelz or "channelz" not in name]
        reflection.enable_server_reflection(services, server, pool=Symbols())
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    address = f"{host}:{port}"
    try:
        if tls is not None:
            port = server.add_secure_port(address, server_credentials(tls))
        else:
            port = server.add_insecure_port(address)
    except RuntimeError as error:
        raise OSError(f"cannot listen on {address}") from error
    return server, port


def _leave_unregistered(service_name: str, method_handlers: object) -> None:
    """Register no method with grpc's core: it then takes the generic handlers, which are there besides.

    For each registered method a request is always waited for. Where grpc's accept loop ends by itself (`accepting`),
    it gives up the memory in which these are to come, and the core still writes there: one time in fifty the process
    died within seconds (SIGSEGV, grpcio 1.85).
    """


def channel_options(settings: ServerSettings) -> list[tuple[str, int]]:
    """Return the options of the server's connections.

    Pings find out that a client has vanished also while its stream is blocked: data would not, for none may be sent.
    `so_reuseport` 0 makes a taken port an error.
    grpc cancels, without a word, streams that come while more than `max_pending_requests` wait to be taken up, some
    of them beyond that, all beyond the hard limit (1,000 and 3,000 by default): as many as the server takes may come
    at once, and so many more are told that they are too many.
    """
    pending = max(MOST_PENDING_STREAMS, 2 * settings.max_streams)
    return [
        ("grpc.so_reuseport", 0),
        ("grpc.enable_channelz", int(settings.channelz)),
        *settings.keepalive.server_options(settings.min_ping_interval_seconds),
        ("grpc.server.max_pending_requests", pending),
        ("grpc.server.max_pending_requests_hard_limit", 2 * pending),
        *limit_options(settings),
    ]
