"""The same for the synchronous API: `grpc.server` and `grpc.insecure_channel`."""

from flowcontrol.sync.client import FlowControlClientInterceptor
from flowcontrol.sync.pool import POOL_METRICS, MeasuredThreadPool
from flowcontrol.sync.server import FlowControlServerInterceptor
from flowcontrol.sync.stream import MeasuredStream, current_stream

__all__ = [
    "POOL_METRICS",
    "FlowControlClientInterceptor",
    "FlowControlServerInterceptor",
    "MeasuredStream",
    "MeasuredThreadPool",
    "current_stream",
]
