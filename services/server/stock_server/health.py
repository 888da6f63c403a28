"""The health service of gRPC (grpc.health.v1), which a client that does not read cannot hold up."""

from __future__ import annotations

import asyncio

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse, HealthListRequest, HealthListResponse
from grpc_health.v1.health_pb2_grpc import HealthServicer


class Health(HealthServicer):  # type: ignore[misc]  # it comes without types
    """Tells who asks, and who watches, what each service's status is.

    The package's own (grpcio-health-checking 1.85) writes to a watcher under a lock that a change of the status needs:
    one that does not read would hold up the drain. And it does not list.
    """

    def __init__(self, *services: str) -> None:
        self._statuses = dict.fromkeys(("", *services), HealthCheckResponse.NOT_SERVING)
        self._changed = asyncio.Event()

    def set_serving(self, serving: bool) -> None:
        """Tell, of the whole server and of each service, whether it takes new calls."""
        status = HealthCheckResponse.SERVING if serving else HealthCheckResponse.NOT_SERVING
        self._statuses = dict.fromkeys(self._statuses, status)
        self._changed.set()
        self._changed = asyncio.Event()

    def problem(self) -> str | None:
        """Return why the server is not ready, or None where it is."""
        serves = self._statuses[""] == HealthCheckResponse.SERVING
        return None if serves else "the server takes no streams: it starts, or drains"

    async def Check(
        self, request: HealthCheckRequest, context: grpc.aio.ServicerContext[HealthCheckRequest, HealthCheckResponse]
    ) -> HealthCheckResponse:
        """Answer with the status of a service, NOT_FOUND for one that is not here."""
        if request.service not in self._statuses:
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such service here")
        return HealthCheckResponse(status=self._statuses[request.service])

    async def List(
        self, request: HealthListRequest, context: grpc.aio.ServicerContext[HealthListRequest, HealthListResponse]
    ) -> HealthListResponse:
        """Answer with the statuses of all services."""
        return HealthListResponse(
            statuses={name: HealthCheckResponse(status=status) for name, status in self._statuses.items()}
        )

    async def Watch(
        self, request: HealthCheckRequest, context: grpc.aio.ServicerContext[HealthCheckRequest, HealthCheckResponse]
    ) -> None:
        """Write the status of a service, now and whenever it has changed."""
        told = None
        while True:
            changed = self._changed
            status = self._statuses.get(request.service, HealthCheckResponse.SERVICE_UNKNOWN)
            if status != told:
                await context.write(HealthCheckResponse(status=status))
                told = status
            await changed.wait()
