"""An authority, and the certificates that it signs."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID

USAGES = {"server": ExtendedKeyUsageOID.SERVER_AUTH, "client": ExtendedKeyUsageOID.CLIENT_AUTH}

BEFORE = datetime.timedelta(days=1)
"""A certificate is valid from so long before it is made on: no two clocks are the same."""

# RFC 5280, 4.2.1.1 to 4.2.1.3: what an authority's certificate must say, with the key identifiers of all. Python
# verifies by it from 3.13 on (ssl.VERIFY_X509_STRICT)
_SIGNS_CERTIFICATES = x509.KeyUsage(
    key_cert_sign=True,
    crl_sign=True,
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    encipher_only=False,
    decipher_only=False,
)


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, in PEM."""

    certificate: bytes
    key: bytes


class Authority:
    """Signs certificates."""

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self._certificate = certificate
        self._key = key

    @classmethod
    def new(cls, name: str, days: float) -> Authority:
        """Return an authority with a new key, valid for so many days."""
        return cls._of(_common_name(name), ec.generate_private_key(ec.SECP256R1()), days)

    @classmethod
    def _of(cls, name: x509.Name, key: ec.EllipticCurvePrivateKey, days: float) -> Authority:
        builder = _builder(name, name, key, days)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(_SIGNS_CERTIFICATES, critical=True)
        return cls(builder.sign(key, hashes.SHA256()), key)

    @classmethod
    def read(cls, certificate: Path, key: Path) -> Authority:
        """Return the authority in these files. Raises OSError, and ValueError: they hold none."""
        private = load_pem_private_key(key.read_bytes(), None)
        if not isinstance(private, ec.EllipticCurvePrivateKey):
            raise ValueError(f"{key}: not a key that this made")
        return cls(x509.load_pem_x509_certificate(certificate.read_bytes()), private)

    @property
    def says_all(self) -> bool:
        """Whether its certificate says what strict verification asks for; one that an older version made does not."""
        said = {extension.oid for extension in self._certificate.extensions}
        return {ExtensionOID.KEY_USAGE, ExtensionOID.SUBJECT_KEY_IDENTIFIER} <= said

    def renewed(self, days: float) -> Authority:
        """Return it with a new certificate, of the same name and key: so what it has signed is still trusted."""
        return self._of(self._certificate.subject, self._key, days)

    @property
    def pair(self) -> Pair:
        """The authority itself."""
        return _pem(self._certificate, self._key)

    def issue(self, common_name: str, names: Sequence[str], days: float, usages: Sequence[str] = tuple(USAGES)) -> Pair:
        """Return a certificate for DNS names, addresses and URIs that ends in so many days; below 0: it has."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _common_name(common_name)
        ours = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = _builder(self._certificate.subject, subject, key, days)
        builder = builder.add_extension(ours, critical=False).add_extension(
            x509.ExtendedKeyUsage([USAGES[usage] for usage in usages]), critical=False
        )
        if names:
            alternatives = x509.SubjectAlternativeName([_general_name(name) for name in names])
            builder = builder.add_extension(alternatives, critical=not common_name)
        return _pem(builder.sign(self._key, hashes.SHA256()), key)


def _common_name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)] if name else [])


def _builder(
    issuer: x509.Name, subject: x509.Name, key: ec.EllipticCurvePrivateKey, days: float
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    ends = now + datetime.timedelta(days=days)
    return (
        x509.CertificateBuilder()
        .issuer_name(issuer)
        .subject_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(min(now, ends) - BEFORE)
        .not_valid_after(ends)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _general_name(name: str) -> x509.GeneralName:
    if "://" in name:
        return x509.UniformResourceIdentifier(name)
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Pair:
    return Pair(
        certificate.public_bytes(Encoding.PEM), key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
