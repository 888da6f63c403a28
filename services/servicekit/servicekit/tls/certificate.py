"""What a certificate says, and whether its key belongs to it, as the standard library's TLS finds out."""

from __future__ import annotations

import ssl
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from typing import Any


class CertificateError(Exception):
    """A certificate or its key cannot be used."""

    def __init__(self, reason: str, *, of_key: bool = False) -> None:
        super().__init__(reason)
        self.of_key = of_key


@dataclass(frozen=True)
class Presented:
    """Whom a certificate is for, and until when."""

    dns: tuple[str, ...]
    uris: tuple[str, ...]
    addresses: tuple[str, ...]
    common_names: tuple[str, ...]
    expires_at: float
    """Unix time in seconds."""

    @property
    def any_name(self) -> str:
        """A host that the certificate is for."""
        return next(iter(self.dns + self.addresses + self.common_names), "").replace("*", "any")

    @property
    def told(self) -> dict[str, str]:
        """What a log says of it."""
        until = datetime.fromtimestamp(self.expires_at, UTC).isoformat(timespec="seconds")
        return {"names": ", ".join(self.dns + self.uris or self.common_names), "expires": until}


class EncryptedKeyError(Exception):
    """A key that a password protects."""


def inspect(certificate: str, key: str, *, as_client: bool) -> Presented:
    """Return what the certificate in a file says, its key proven by a handshake in memory.

    The certificate is its own authority there: who has to trust it is elsewhere. Raises CertificateError.
    """
    shows, asks = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if as_client:
        shows, asks = asks, shows
    shows.check_hostname = asks.check_hostname = False
    shows.verify_mode, asks.verify_mode = ssl.CERT_NONE, ssl.CERT_REQUIRED
    asks.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        asks.load_verify_locations(cafile=certificate)
    except ssl.SSLError:
        raise CertificateError("it holds no certificate in PEM") from None
    try:
        for context in (shows, asks):  # a server that asks a client has to show one itself
            context.load_cert_chain(certificate, key, password=_no_password)
    except ssl.SSLError as error:
        mismatch = error.reason == "KEY_VALUES_MISMATCH"
        reason = "it is not the key of the certificate" if mismatch else "it holds no private key in PEM"
        raise CertificateError(reason, of_key=True) from None
    except EncryptedKeyError:
        raise CertificateError("it is encrypted, and there is nobody to ask for its password", of_key=True) from None
    return _read(_shake_hands(shows, asks, as_client=as_client))


def _no_password() -> str:
    raise EncryptedKeyError


def _shake_hands(shows: ssl.SSLContext, asks: ssl.SSLContext, *, as_client: bool) -> dict[str, Any]:
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    showing = shows.wrap_bio(there, back, server_side=not as_client)
    asking = asks.wrap_bio(back, there, server_side=as_client)
    try:
        for end in (showing, asking) * 4:  # TLS 1.3 needs two turns of each
            with suppress(ssl.SSLWantReadError):
                end.do_handshake()
    except ssl.SSLCertVerificationError as error:
        raise CertificateError(error.verify_message) from None
    except ssl.SSLError as error:
        raise CertificateError(f"TLS does not take it: {error.reason}") from None
    return dict(asking.getpeercert() or {})


def _read(said: dict[str, Any]) -> Presented:
    alternatives = said.get("subjectAltName", ())
    return Presented(
        dns=tuple(value for kind, value in alternatives if kind == "DNS"),
        uris=tuple(value for kind, value in alternatives if kind == "URI"),
        addresses=tuple(value for kind, value in alternatives if kind == "IP Address"),
        common_names=tuple(
            value for kind, value in chain.from_iterable(said.get("subject", ())) if kind == "commonName"
        ),
        expires_at=float(ssl.cert_time_to_seconds(said["notAfter"])),
    )
