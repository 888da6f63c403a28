"""Health checks that run inside a container: one question to the service beside them, answered by the exit status.

They run every 5 seconds, so they import next to nothing: with all settings parsed a check took ten times the
processor time, and more than the service itself.
"""

from __future__ import annotations

import os
import sys
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection

READY_PATH = "/ready"

TIMEOUT_SECONDS = 2.0
"""A service that needs longer than this to answer on its own host is not healthy."""


def setting(variable: str, default: str | int) -> str:
    """Return what the environment sets, as text; the service itself has refused what is no value."""
    return os.environ.get(variable) or str(default)


def local_host(listen_host: str) -> str:
    """Return the address at which a service that listens on `listen_host` is reached from its own host."""
    if listen_host in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
        return "127.0.0.1"  # where there is IPv6 alone too; ::1 is not in a container without IPv6
    return f"[{listen_host}]" if ":" in listen_host else listen_host


def readiness_problem(listen_host: str, port: str | int, certificate: str = "", key: str = "") -> str | None:
    """Return why a service is not ready, by what its metrics port answers, or None where it is.

    With a certificate, a file, it is asked over TLS, and shown that same one.
    """
    try:
        connection = _connection(f"{local_host(listen_host)}:{port}", certificate, key)
    except OSError as error:
        return f"{certificate}, {key}: {error}"
    try:
        connection.request("GET", READY_PATH)
        answer = connection.getresponse()
        text = answer.read().decode(errors="replace").strip()
    except (OSError, HTTPException) as error:
        return f"{READY_PATH} on port {port}: {error}"
    finally:
        connection.close()
    if answer.status == HTTPStatus.SERVICE_UNAVAILABLE:
        return text
    return None if answer.status == HTTPStatus.OK else f"{READY_PATH} on port {port}: HTTP status {answer.status}"


def _connection(address: str, certificate: str, key: str) -> HTTPConnection:
    if not certificate:
        return HTTPConnection(address, timeout=TIMEOUT_SECONDS)
    import ssl  # takes a fifth of the time of the check

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # as Kubernetes' probes do: on its own host nobody else answers
    context.verify_mode = ssl.CERT_NONE
    context.load_cert_chain(certificate, key)
    return HTTPSConnection(address, timeout=TIMEOUT_SECONDS, context=context)


def exit_with_health(program: str, problem: str | None) -> None:
    """End the program: exit status 0 where there is no problem, else 1 and the problem on standard error."""
    if problem is None:
        raise SystemExit(0)
    sys.stderr.write(f"{program}: {problem}\n")
    raise SystemExit(1)
