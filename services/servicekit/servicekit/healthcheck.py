"""Health checks that run inside a container: one question to the service beside them, answered by the exit status."""

from __future__ import annotations

import sys
from http.client import HTTPConnection, HTTPException

TIMEOUT_SECONDS = 2.0
"""A service that needs longer than this to answer on its own host is not healthy."""


def local_host(listen_host: str) -> str:
    """Return the address at which a service that listens on `listen_host` is reached from its own host."""
    return {"0.0.0.0": "127.0.0.1", "::": "[::1]", "[::]": "[::1]"}.get(listen_host, listen_host)  # noqa: S104 - compared, not bound


def metrics_problem(listen_host: str, port: int) -> str | None:
    """Return why the metrics port does not answer, or None where it does."""
    connection = HTTPConnection(f"{local_host(listen_host)}:{port}", timeout=TIMEOUT_SECONDS)
    try:
        # the name filter keeps the answer empty: the page grows with the number of clients
        connection.request("GET", "/metrics?name[]=none")
        status = connection.getresponse().status
    except (OSError, HTTPException) as error:
        return f"/metrics on port {port}: {error}"
    finally:
        connection.close()
    return None if status == 200 else f"/metrics on port {port}: HTTP status {status}"


def exit_with_health(program: str, problem: str | None) -> None:
    """End the program: exit status 0 where there is no problem, else 1 and the problem on standard error."""
    if problem is None:
        raise SystemExit(0)
    sys.stderr.write(f"{program}: {problem}\n")
    raise SystemExit(1)
