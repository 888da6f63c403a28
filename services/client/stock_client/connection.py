"""The channel to the server, and coming back to it for ever."""

from __future__ import annotations

import asyncio
import json
import time
from functools import partial
from typing import Any

import grpc
import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type
from tenacity.wait import wait_random_exponential

from flowcontrol import BatchLimit, FlowControlClientInterceptor
from servicekit.tls.files import Credentials, Reloaded, load
from stock_client.ending import StreamEndedError
from stock_client.metrics.client import ClientMetrics
from stock_client.reading.stream import StreamReader
from stock_client.refusal import explained
from stock_client.settings import ClientSettings
from stockservice.stock_pb2_grpc import StockServiceStub

SERVICE_NAME = "stockservice.StockService"
STREAMS = ("GetUpdates", "GetUpdateBatches")

log = structlog.get_logger()


def open_channel(settings: ClientSettings, tls: Credentials | None = None) -> grpc.aio.Channel:
    """Return a channel with the window that is set, to all addresses that the server's name resolves to, in turn.

    By default grpc asks the resolver again after 30 s at the soonest, and waits up to 120 s to connect again.
    """
    target = settings.server_address
    if "://" not in target:
        target = f"dns:///{target}"
    backoff_ms = round(settings.backoff_max_seconds * 1000)
    options = [
        *settings.window.channel_options(),
        *settings.keepalive.channel_options(),
        ("grpc.service_config", json.dumps({"loadBalancingConfig": [{"round_robin": {}}]})),
        ("grpc.dns_min_time_between_resolutions_ms", 1_000),
        ("grpc.initial_reconnect_backoff_ms", round(settings.backoff_initial_seconds * 1000)),
        ("grpc.min_reconnect_backoff_ms", 1_000),
        ("grpc.max_reconnect_backoff_ms", backoff_ms),
        ("grpc.max_receive_message_length", max(settings.max_update_bytes, _largest_batch_bytes(settings))),
        ("grpc.enable_http_proxy", 0),  # a container engine may name one to all containers, which knows no host inside
    ]
    if tls is None and settings.tls.named:
        tls = load(settings.tls)
    if tls is None:
        return grpc.aio.insecure_channel(target, options=options)
    if settings.tls_server_name is not None:
        options.append(("grpc.ssl_target_name_override", settings.tls_server_name))
    credentials = grpc.ssl_channel_credentials(tls.authorities, tls.key, tls.certificate)
    return grpc.aio.secure_channel(target, credentials, options=options)


def _largest_batch_bytes(settings: ClientSettings) -> int:
    return BatchLimit.for_window(settings.window).most_bytes if settings.batches else 0


def measured_stub(channel: grpc.aio.Channel, interceptor: FlowControlClientInterceptor) -> Any:
    """Return the stub of a channel, whose streams are measured."""
    stub: Any = StockServiceStub(channel)
    for name in STREAMS:
        setattr(stub, name, partial(interceptor.start, getattr(stub, name), f"{SERVICE_NAME}/{name}"))
    return stub


async def read_for_ever(
    settings: ClientSettings,
    interceptor: FlowControlClientInterceptor,
    reader: StreamReader,
    metrics: ClientMetrics,
    files: Reloaded | None = None,
) -> None:
    """Read stream after stream; between two, wait with exponential backoff and full jitter. Ends when cancelled.

    The backoff begins anew after a stream that has brought updates for longer than it may last: a server that ends
    every stream after an update is not asked again and again. What a server says of coming back counts up to
    `retry_after_max_seconds`.
    Each has a channel of its own, for a channel whose name does not resolve waits longer and longer before it asks DNS
    again, up to 120 s, and no option says less (`GRPC_DNS_RECONNECT_MAX_BACKOFF_SECONDS` in grpc's DNS resolver).
    """

    def report(state: RetryCallState) -> None:
        reason = state.outcome.exception() if state.outcome else None
        wait_seconds = state.next_action.sleep if state.next_action else 0.0
        if isinstance(reason, StreamEndedError):
            metrics.end_stream(reason)
        log.warning("stream.end", reason=str(reason), reconnect_in_seconds=round(wait_seconds, 3))

    backoff = wait_random_exponential(settings.backoff_initial_seconds, settings.backoff_max_seconds)

    def wait(state: RetryCallState) -> float:
        reason = state.outcome.exception() if state.outcome else None
        told = reason.retry_after_seconds if isinstance(reason, StreamEndedError) else 0.0
        return min(told, settings.retry_after_max_seconds) + backoff(state)

    retrying = AsyncRetrying(retry=retry_if_exception_type(StreamEndedError), wait=wait, before_sleep=report)
    async for attempt in retrying:
        updates_before, began_at = reader.updates, time.monotonic()
        with attempt:
            tls = None if files is None else files.now()
            try:
                async with open_channel(settings, tls) as channel:
                    lost = asyncio.create_task(_lost(channel))
                    try:
                        await reader.read_one_stream(measured_stub(channel, interceptor), lost)
                    finally:
                        lost.cancel()
            except StreamEndedError as error:
                error.args = (explained(str(error), settings, tls),)
                raise
            finally:
                lasted_seconds = time.monotonic() - began_at
                if reader.updates > updates_before and lasted_seconds >= settings.backoff_max_seconds:
                    attempt.retry_state.attempt_number = 1


async def _lost(channel: grpc.aio.Channel) -> None:
    """Return once the channel has no connection any more, after it had one."""
    before = channel.get_state()
    while before is not grpc.ChannelConnectivity.READY:
        await channel.wait_for_state_change(before)
        before = channel.get_state()
    await channel.wait_for_state_change(before)
