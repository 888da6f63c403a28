"""The command `stock-server-health`: asks the server on this host, over gRPC, whether it takes new streams."""

from __future__ import annotations

from pathlib import Path

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

from servicekit.healthcheck import TIMEOUT_SECONDS, exit_with_health, local_host, setting
from servicekit.tls.certificate import CertificateError, inspect
from stock_server.address import GRPC_PORT, HOST


def main() -> None:
    """Exit with status 0 where the server serves, else with 1 and the reason; reads the server's own variables."""
    host, port = setting("STOCK_SERVER_HOST", HOST), setting("STOCK_SERVER_GRPC_PORT", GRPC_PORT)
    certificate, key = setting("STOCK_SERVER_TLS_CERTIFICATE", ""), setting("STOCK_SERVER_TLS_KEY", "")
    exit_with_health("stock-server-health", serving_problem(f"{local_host(host)}:{port}", certificate, key))


def serving_problem(address: str, certificate: str = "", key: str = "") -> str | None:
    """Return why the server at `address` does not serve, or None where it does.

    With a certificate, a file, it is asked over TLS; it must have that very one, and is shown it where it asks for one.
    """
    try:
        channel = _channel(address, certificate, key)
    except (OSError, CertificateError) as error:
        return f"{certificate}, {key}: {error}"
    with channel:
        try:
            answer = HealthStub(channel).Check(HealthCheckRequest(), timeout=TIMEOUT_SECONDS)
        except grpc.RpcError as error:
            return f"{address}: {error.code().name}: {error.details()}"
    status = HealthCheckResponse.ServingStatus.Name(answer.status)
    return None if status == "SERVING" else f"{address}: {status}"


def _channel(address: str, certificate: str, key: str) -> grpc.Channel:
    # a proxy that the environment names does not know this host
    options: list[tuple[str, int | str]] = [("grpc.enable_http_proxy", 0)]
    if not certificate:
        return grpc.insecure_channel(address, options=options)
    options.append(("grpc.ssl_target_name_override", inspect(certificate, key, as_client=False).any_name))
    own, own_key = Path(certificate).read_bytes(), Path(key).read_bytes()
    return grpc.secure_channel(address, grpc.ssl_channel_credentials(own, own_key, own), options=options)
