"""Who the server is to clients, and who they are to it: TLS on the gRPC port."""

from __future__ import annotations

from typing import Any

import grpc

from flowcontrol.identity import INVALID
from servicekit.tls.files import Credentials, Reloaded
from servicekit.tls.peer_name import proven_name


def server_credentials(reloaded: Reloaded) -> grpc.ServerCredentials:
    """Return credentials that follow the files. grpc asks at every handshake; streams that are open go on.

    With authorities in them a client must have a certificate of theirs.
    """
    given = reloaded.now()

    def changed() -> Any:
        nonlocal given
        newest = reloaded.now()
        if newest is given:
            return None  # so grpc goes on with what it has
        given = newest
        return _configuration(newest)

    return grpc.dynamic_ssl_server_credentials(
        _configuration(given), changed, require_client_authentication=reloaded.files.authorities is not None
    )


def certified_name(context: Any, declared: str) -> str | None:
    """Return the name that the client's certificate proves, whatever it declares; None where it has shown none."""
    proof = context.auth_context()
    if "x509_pem_cert" not in proof:
        return None

    def of(key: str) -> list[str]:
        return [value.decode(errors="replace") for value in proof.get(key, ())]

    return proven_name(of("peer_dns"), of("peer_uri"), of("x509_common_name"), declared) or INVALID


def _configuration(credentials: Credentials) -> grpc.ServerCertificateConfiguration:
    pair = (credentials.key or b"", credentials.certificate or b"")
    return grpc.ssl_server_certificate_configuration([pair], credentials.authorities)
