"""The command `stock-server-health`: asks the server on this host, over gRPC, whether it takes new streams."""

from __future__ import annotations

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

from servicekit.healthcheck import TIMEOUT_SECONDS, exit_with_health, local_host, setting
from stock_server.address import GRPC_PORT, HOST


def main() -> None:
    """Exit with status 0 where the server serves, else with 1 and the reason; reads the server's own variables."""
    host, port = setting("STOCK_SERVER_HOST", HOST), setting("STOCK_SERVER_GRPC_PORT", GRPC_PORT)
    exit_with_health("stock-server-health", serving_problem(f"{local_host(host)}:{port}"))


def serving_problem(address: str) -> str | None:
    """Return why the server at `address` does not serve, or None where it does."""
    # a proxy that the environment names does not know this host
    with grpc.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)]) as channel:
        try:
            answer = HealthStub(channel).Check(HealthCheckRequest(), timeout=TIMEOUT_SECONDS)
        except grpc.RpcError as error:
            return f"{address}: {error.code().name}: {error.details()}"
    status = HealthCheckResponse.ServingStatus.Name(answer.status)
    return None if status == "SERVING" else f"{address}: {status}"
