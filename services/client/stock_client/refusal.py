"""Why there is no connection to a server, in words: grpc tells it in those of its TLS library, or not at all."""

from __future__ import annotations

import re
import time

from servicekit.settings import names_of
from servicekit.tls.files import Credentials
from stock_client.settings import ClientSettings

_CLOSED = re.compile(r"last error: .*(Socket closed|[Cc]onnection reset|Broken pipe)")


def explained(reason: str, settings: ClientSettings, credentials: Credentials | None) -> str:
    """Return a stream's end with an explanation before it, where grpc's reason is about TLS or may be."""
    why = _explanation(reason, settings, credentials)
    return reason if why is None else f"{why}; {reason}"


def _explanation(reason: str, settings: ClientSettings, credentials: Credentials | None) -> str | None:
    if "WRONG_VERSION_NUMBER" in reason:
        return "the server does not speak TLS"
    if "Hostname Verification Check failed" in reason:
        return f"the server's certificate is not for '{settings.tls_server_name or server_host(settings)}'"
    if found := re.search(r"CERTIFICATE_VERIFY_FAILED: (.*?)(: OK\b|$)", reason):
        problem = found[1]
        if "expired" in problem:
            return "the server's certificate has expired"
        if "issuer" in problem or "self" in problem:
            return f"the server's certificate is of no authority in {names_of(ClientSettings, 'tls_ca')}"
        return f"the server's certificate is not accepted: {problem}"
    return f"the server closes the connection at once: {_guess(credentials)}" if _CLOSED.search(reason) else None


def _guess(credentials: Credentials | None) -> str:
    """Return what a server that closes the connection without a word may not like; it sends no TLS alert."""
    if credentials is None:
        return f"it may want TLS, see {names_of(ClientSettings, 'tls_ca')}"
    if credentials.presented is None:
        return f"it may want a client's certificate, see {names_of(ClientSettings, 'tls_certificate')}"
    if credentials.presented.expires_at < time.time():
        return "this client's certificate has expired"
    return "it may not accept this client's certificate"


def server_host(settings: ClientSettings) -> str:
    """Return the host in the server's address."""
    return settings.server_address.rpartition("://")[2].rpartition("/")[2].rpartition(":")[0].strip("[]")
