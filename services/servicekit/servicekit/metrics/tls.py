"""TLS on the metrics port, by files that are read again when they change."""

from __future__ import annotations

import ssl
from contextlib import suppress
from typing import Any

from servicekit.tls.files import Credentials, Reloaded, TlsFiles


def metrics_context(reloaded: Reloaded | None) -> ssl.SSLContext | None:
    """Return a context that follows the files from handshake to handshake; None where none is set."""
    if reloaded is None:
        return None
    files = reloaded.files
    known = reloaded.now()
    newest = _context(files, known)

    def follow(handshake: Any, _name: str | None, _context_of_all: ssl.SSLContext) -> None:
        nonlocal known, newest
        credentials = reloaded.now()
        if credentials is not known:
            with suppress(OSError):  # changed once more meanwhile: the next handshake sees it
                newest = _context(files, credentials)
                known = credentials
        handshake.context = newest

    context = _context(files, known)
    context.sni_callback = follow  # called for every handshake, whether or not it names a server
    return context


def _context(files: TlsFiles, credentials: Credentials) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(str(files.certificate), files.key)
    if credentials.authorities is not None:
        context.load_verify_locations(cadata=credentials.authorities.decode())
        context.verify_mode = ssl.CERT_REQUIRED
    return context
