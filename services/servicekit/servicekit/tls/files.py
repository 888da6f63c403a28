"""Certificates, keys and authorities from files: checked, and read again when they change."""

from __future__ import annotations

import os
import ssl
import stat
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from threading import Lock

import structlog

from servicekit.tls.certificate import CertificateError, Presented, inspect

LARGEST_FILE_BYTES = 1_048_576

log = structlog.get_logger()


class TlsFileError(Exception):
    """A file of a setting cannot be used; the message says why, and `field` names the setting."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field


@dataclass(frozen=True)
class TlsFiles:
    """The files that one end of TLS goes by, each of a setting; None: it has none."""

    certificate: str | None
    key: str | None
    authorities: str | None
    fields: tuple[str, str, str]
    """The settings that name the three."""
    as_client: bool = False
    """A client may have a certificate, which is then for a client; a server must, where any file is set."""

    @property
    def named(self) -> bool:
        """Whether any is set."""
        return any((self.certificate, self.key, self.authorities))


@dataclass(frozen=True)
class Credentials:
    """What the files hold, in PEM."""

    certificate: bytes | None
    key: bytes | None
    authorities: bytes | None
    presented: Presented | None
    """What the certificate says; None where there is none."""


def load(files: TlsFiles) -> Credentials:
    """Read and check the files. Raises TlsFileError: missing, unreadable, no PEM, key of another, expired."""
    for _ in range(10):
        before = _fingerprint(files)
        credentials = _load(files)
        if _fingerprint(files) == before:
            return credentials
    raise TlsFileError(files.fields[0], "it changes while it is read")


def _load(files: TlsFiles) -> Credentials:
    of_certificate, of_key, of_authorities = files.fields
    if (files.certificate is None) != (files.key is None):
        missing, there = (of_key, of_certificate) if files.key is None else (of_certificate, of_key)
        raise TlsFileError(missing, f"it is not set, but {there} is; they go together")
    if files.authorities is not None and files.certificate is None and not files.as_client:
        raise TlsFileError(of_certificate, f"it is not set, but {of_authorities} is")
    certificate = _read(of_certificate, files.certificate)
    key = _read(of_key, files.key)
    authorities = _read(of_authorities, files.authorities)
    presented = None
    try:
        if files.authorities is not None:
            check_authorities(files.authorities)
    except CertificateError as error:
        raise TlsFileError(of_authorities, f"{error} ({files.authorities})") from None
    try:
        if files.certificate is not None and files.key is not None:
            presented = inspect(files.certificate, files.key, as_client=files.as_client)
    except CertificateError as error:
        field, path = (of_key, files.key) if error.of_key else (of_certificate, files.certificate)
        raise TlsFileError(field, f"{error} ({path})") from None
    return Credentials(certificate, key, authorities, presented)


def _read(field: str, path: str | None) -> bytes | None:
    if path is None:
        return None
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise TlsFileError(field, f"it is no file: {path}")
        with open(path, "rb") as file:
            content = file.read(LARGEST_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise TlsFileError(field, f"{reason}: {path}") from None
    if len(content) > LARGEST_FILE_BYTES:
        raise TlsFileError(field, f"it is larger than {LARGEST_FILE_BYTES} bytes: {path}")
    return content


def check_authorities(path: str) -> None:
    """Check a file of certificates to trust. Raises CertificateError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cafile=path)
    except (ssl.SSLError, ValueError):
        raise CertificateError("it holds no certificate in PEM") from None
    ends = [ssl.cert_time_to_seconds(str(authority["notAfter"])) for authority in context.get_ca_certs()]
    if ends and max(ends) < time.time():
        raise CertificateError("its certificate has expired")


def _fingerprint(files: TlsFiles) -> tuple[object, ...]:
    return tuple(chain.from_iterable(_stat(path) for path in (files.certificate, files.key, files.authorities) if path))


def _stat(path: str) -> Sequence[object]:
    try:
        found = os.stat(path)
    except (OSError, ValueError) as error:
        return (str(error),)
    return found.st_ino, found.st_mtime_ns, found.st_size


class Reloaded:
    """The newest credentials of some files that were good. May be asked from any thread."""

    def __init__(self, files: TlsFiles) -> None:
        """Load them. Raises TlsFileError."""
        self._files = files
        self._lock = Lock()
        self._seen = _fingerprint(files)
        self._credentials = load(files)

    @classmethod
    def of(cls, files: TlsFiles) -> Reloaded | None:
        """Return the credentials of files, or None where no file is set. Raises TlsFileError."""
        return cls(files) if files.named else None

    @property
    def files(self) -> TlsFiles:
        """Where they come from."""
        return self._files

    @property
    def setting(self) -> str:
        """The setting that names the certificate."""
        return self._files.fields[0]

    def now(self) -> Credentials:
        """Return the credentials, read again where a file has changed; a bad one is logged once, and the old kept."""
        with self._lock:
            seen = _fingerprint(self._files)
            if seen != self._seen:
                self._seen = seen
                self._reload()
            return self._credentials

    def _reload(self) -> None:
        try:
            self._credentials = load(self._files)
        except TlsFileError as error:
            log.error("tls.reload.failed", setting=error.field, reason=str(error), consequence="the old one is kept")
        else:
            presented = self._credentials.presented
            log.info(
                "tls.reload.complete", setting=self._files.fields[0], **({} if presented is None else presented.told)
            )
